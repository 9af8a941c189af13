// Launcher of vipd executables, aarch64; see launcher.ts. aarch64-linux-gnu-as && objcopy -O binary
.text
_start:
  // x0 (rtld_fini) must survive
  // A deleted working directory ends the runtime at once: getcwd (17) fails, so chdir (49) to /.
  mov x20, x0
  sub x0, sp, #8192
  mov x1, #4096
  mov x8, #17
  svc #0
  tbz x0, #63, 0f
  adr x0, root
  mov x8, #49
  svc #0
0:
  mov x0, x20
  mov x9, sp
  ldr w10, k
  ldr x11, [x9]
  ldr w12, e
  add x13, x10, x12
  sub sp, sp, x13, lsl #3
  add x14, x11, x10
  mov x8, sp
  str x14, [x8]
  ldr x14, [x9, #8]
  str x14, [x8, #8]
  add x15, x8, #16
  adr x16, table
  mov x17, x16
1:
  ldr w14, [x17], #4
  add x14, x14, x16
  str x14, [x15], #8
  subs w10, w10, #1
  b.ne 1b
  add x9, x9, #16
2:
  ldr x14, [x9], #8
  str x14, [x15], #8
  subs x11, x11, #1
  b.ne 2b
  mov x9, x15             // new envp
3:
  ldr w14, [x17], #4
  add x14, x14, x16
  str x14, [x15], #8
  subs w12, w12, #1
  b.ne 3b
  // The first variable is a default: a PATH in the old environment, which starts here, wins.
  mov w16, #0x4150        // "PATH"
  movk w16, #0x4854, lsl #16
4:
  ldr x14, [x15], #8
  cbz x14, 5f
  ldr w17, [x14]
  cmp w17, w16
  b.ne 4b
  ldrb w17, [x14, #4]
  cmp w17, #0x3d          // "="
  b.ne 4b
  str x14, [x9]
5:
  adr x15, _start
  // ld.so has told libc already where the environment is: correct it.
  ldrsw x14, environ
  ldr x14, [x15, x14]
  str x9, [x14]
  ldrsw x14, entry
  add x15, x15, x14
  br x15
root: .asciz "/"
.balign 4
k: .word 0
e: .word 0
entry: .word 0
environ: .word 0
table:
