/**
 * Signals that Deno cannot be told to leave alone.
 *
 * @module
 */

import { libc } from "./libc.ts";

const SIG_IGN = 1n;

/** The number of SIGUSR1 on x86-64 and aarch64. */
export const SIGUSR1 = 10;

/** Makes the kernel throw this signal away. */
export function ignoreSignal(number: number): void {
  libc().signal(number, Deno.UnsafePointer.create(SIG_IGN));
}
