# Launcher of vipd executables, x86-64; see launcher.ts. as launcher_x86_64.s && objcopy -O binary
.intel_syntax noprefix
.text
_start:
  # rdx (rtld_fini) must survive
  # A deleted working directory ends the runtime at once: getcwd (79) fails, so chdir (80) to /.
  lea rdi, [rsp-8192]
  mov esi, 4096
  mov eax, 79
  syscall
  test rax, rax
  jns 0f
  lea rdi, [rip+root]
  mov eax, 80
  syscall
0:
  mov r9, rsp            # old stack
  mov ecx, [rip+k]       # K
  mov rax, [r9]          # argc
  mov r10d, [rip+e]      # E env strings
  lea r11, [rcx+r10]     # K+E, even
  shl r11, 3
  sub rsp, r11           # new stack
  lea rdi, [rax+rcx]
  mov [rsp], rdi         # argc+K
  mov rdi, [r9+8]
  mov [rsp+8], rdi       # argv[0]
  lea rdi, [rsp+16]
  lea r8, [rip+table]
  mov rsi, r8
1: # K argument pointers
  mov r11d, [rsi]
  add rsi, 4
  add r11, r8
  mov [rdi], r11
  add rdi, 8
  dec ecx
  jnz 1b
  # old argv[1..argc-1] and NULL
  mov r12, rsi
  lea rsi, [r9+16]
  mov rcx, rax           # argc-1 pointers + NULL = argc words
  cld
  rep movsq
  mov rsi, r12
  mov r13, rdi           # new envp
2: # E environment pointers
  mov r11d, [rsi]
  add rsi, 4
  add r11, r8
  mov [rdi], r11
  add rdi, 8
  dec r10d
  jnz 2b
  # The first variable is a default: a PATH in the old environment, which starts here, wins.
3:
  mov r11, [rdi]
  test r11, r11
  jz 4f
  add rdi, 8
  cmp dword ptr [r11], 0x48544150 # "PATH"
  jne 3b
  cmp byte ptr [r11+4], 0x3d      # "="
  jne 3b
  mov [r13], r11
4:
  lea r11, [rip+_start]
  # ld.so has told libc already where the environment is: correct it.
  movsxd rax, dword ptr [rip+environ]
  mov rax, [rax+r11]
  mov [rax], r13
  movsxd rax, dword ptr [rip+entry]
  add rax, r11
  jmp rax
root: .asciz "/"
.balign 4
k: .long 0
e: .long 0
entry: .long 0
environ: .long 0
table:
