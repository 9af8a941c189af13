/**
 * How V8 keeps the heap of a node daemon small. Measured in docs/design.md; a heap of 5,000 Services
 * with five endpoints each is 37 MB when it is clean, and 100 MB at the peak of the first sync.
 *
 * @module
 */

/** Without `--v8-flags=`. */
export const V8_FLAGS: readonly string[] = [
  // The young generation: 2 MB halves instead of 16.
  "--max-semi-space-size=2",
  // V8 collects the sooner the smaller the limit is; running into it ends the process, so it is
  // ten times what 5,000 Services need.
  "--max-old-space-size=512",
  // For src/kernel/runtime/memory.ts.
  "--expose-gc",
];
