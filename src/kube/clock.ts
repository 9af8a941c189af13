/**
 * Time and chance as arguments, so that waiting and jitter can be tested without waiting.
 *
 * @module
 */

/** What waits and what throws dice in this room. */
export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** Resolves after `ms`, or at once, without an error, when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** In [0, 1). */
  random(): number;
}
