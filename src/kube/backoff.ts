/**
 * How long to wait after a failure: 0.8 s, doubled each time up to 30 s, with jitter, so that the
 * nodes of a cluster do not come back all at once (INF-01).
 *
 * @module
 */

const MIN_MS = 800;
const MAX_MS = 30_000;

/** Milliseconds to wait after the `failures`-th failure in a row, 1 for the first. */
export function backoffMs(failures: number, random: () => number): number {
  const base = Math.min(MAX_MS, MIN_MS * 2 ** Math.min(failures - 1, 16));
  return base * (1 + random());
}
