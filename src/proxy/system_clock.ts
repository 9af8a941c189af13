/**
 * The clock of this machine.
 *
 * @module
 */

import { SYSTEM_CLOCK as KUBE_CLOCK } from "../kube/system_clock.ts";
import type { Clock } from "./clock.ts";

/** Real time. */
export const SYSTEM_CLOCK: Clock = { ...KUBE_CLOCK, monotonicMs: () => performance.now() };
