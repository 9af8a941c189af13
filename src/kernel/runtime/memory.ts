/**
 * Memory that is not needed any more goes back to the kernel: after the first sync, which reads
 * and renders everything, that is 10 to 40 MB.
 *
 * @module
 */

import { libc } from "../libc/libc.ts";

/** Collects garbage where V8 was started with `--expose-gc`, and lets the C library trim its heap. */
export function giveBackMemory(): void {
  const collect: unknown = Reflect.get(globalThis, "gc");
  if (typeof collect === "function") collect();
  libc().malloc_trim(0n);
}
