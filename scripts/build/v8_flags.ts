/**
 * How V8 keeps the heap of a node daemon small.
 *
 * @module
 */

/** Without `--v8-flags=`. */
export const V8_FLAGS: readonly string[] = [
  "--max-semi-space-size=2",
];
