/**
 * Time as an argument, with a count of milliseconds that no administrator turns back.
 *
 * @module
 */

import type { Clock as KubeClock } from "../kube/clock.ts";

/** What waits and measures in this room. */
export interface Clock extends KubeClock {
  /** Milliseconds since some moment; only differences mean something. */
  monotonicMs(): number;
}
