/**
 * The launcher: a few machine instructions that run before the Deno runtime's own entry point and
 * put words in front of the user's arguments and variables in front of the environment.
 *
 * At process entry the stack holds argc, argv[0..], NULL, envp[0..], NULL (System V ABI, both
 * architectures). The launcher lowers the stack pointer, writes argc + K, argv[0], K embedded
 * words, argv[1..], NULL, E embedded variables, and leaves the old envp where it is. libc reads
 * argc and argv from the stack when the real entry point calls it, so the runtime sees one longer
 * command line. `environ` was set before, by the dynamic linker, and is corrected through the slot
 * that the runtime's own reference to it goes through. A working directory that was deleted is left
 * for `/` on the way, and a user without PATH gets one: the runtime ends at once without. The kernel's view (`ps`, /proc/PID/cmdline) stays the user's.
 *
 * Sources of the instructions: `launcher_x86_64.s`, `launcher_aarch64.s` beside this file.
 *
 * @module
 */

const LITTLE_ENDIAN = true;

/** Machines an executable can be built for, named as in the npm packages of the runtime. */
export type Machine = "x64" | "arm64";

/** What the launcher puts on the stack. */
export interface LauncherWords {
  /** Words between argv[0] and the user's arguments. */
  readonly args: readonly string[];
  /** `NAME=value`. The first is `PATH=…`, for who has none; the others win over the user's. */
  readonly env: readonly [path: string, ...rest: string[]];
}

/** Where the launcher and the entry point it jumps to are mapped. */
export interface LauncherPlace {
  readonly machine: Machine;
  readonly address: number;
  readonly entry: number;
  /** Where the runtime keeps the address of libc's `environ`. */
  readonly environSlot: number;
}

// Objects of the two sources, without the four words of parameters at their end.
const CODE: Record<Machine, string> = {
  x64: "488dbc2400e0ffffbe00100000b84f0000000f054885c0790e488d3dc500" +
    "0000b8500000000f054989e18b0db8000000498b01448b15b20000004e8d" +
    "1c1149c1e3034c29dc488d3c0848893c24498b790848897c2408488d7c24" +
    "104c8d05960000004c89c6448b1e4883c6044d01c34c891f4883c708ffc9" +
    "75eb4989f4498d71104889c1fcf348a54c89e64989fd448b1e4883c6044d" +
    "01c34c891f4883c70841ffca75ea4c8b1f4d85db74184883c70841813b50" +
    "41544875eb41807b043d75e44d895d004c8d1d35ffffff48630522000000" +
    "4a8b04184c8928486305100000004c01d8ffe02f0090",
  arm64: "f40300aae00b40d1010082d2280280d2010000d48000f8b6800600102806" +
    "80d2010000d4e00314aae90300910a0600182b0140f9ec0500184d010c8b" +
    "ff6f2dcb6e010a8be80300910e0100f92e0540f90e0500f90f4100913005" +
    "0010f10310aa2e4640b8ce01108bee8500f84a05007181ffff5429410091" +
    "2e8540f8ee8500f86b0500f1a1ffff54e9030faa2e4640b8ce01108bee85" +
    "00f88c05007181ffff54102a8852900aa972ee8540f80e0100b4d10140b9" +
    "3f02106b81ffff54d11140393ff6007121ffff542e0100f9aff9ff104e01" +
    "0098ee696ef8c90100f9ce000098ef010e8be0011fd62f000000",
};

/**
 * The bytes of a launcher for one place. An even number of words keeps the stack aligned, so an
 * odd one is filled up with a variable that means nothing.
 */
export function encodeLauncher(words: LauncherWords, place: LauncherPlace): Uint8Array {
  const env = (words.args.length + words.env.length) % 2 === 0
    ? words.env
    : [...words.env, "VIPD_LAUNCHER=1"];
  const code = Uint8Array.fromHex(CODE[place.machine]);
  const strings = [...words.args, ...env].map((word) => new TextEncoder().encode(`${word}\0`));
  const tableSize = 4 * strings.length;
  const offsets = [place.entry, place.environSlot].map((address) => address - place.address);
  const header = [words.args.length, env.length, ...offsets];
  const numbers = new DataView(new ArrayBuffer(4 * header.length + tableSize));
  header.forEach((value, i) => numbers.setInt32(4 * i, value, LITTLE_ENDIAN));
  let offset = tableSize; // of a string, counted from the table
  strings.forEach((text, i) => {
    numbers.setInt32(4 * (header.length + i), offset, LITTLE_ENDIAN);
    offset += text.length;
  });
  return concat([code, new Uint8Array(numbers.buffer), ...strings]);
}

/** Joins byte strings. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
