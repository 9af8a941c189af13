/**
 * Looks every now and then whether others changed the tables. Reading them back is what is dear, so
 * the more rules there are the rarer it is asked for.
 *
 * @module
 */

import { pause } from "../../kernel/clock/pause.ts";
import type { TableMonitor } from "../../kernel/iptables/monitor.ts";

/** Reading and comparing 100,000 rules takes about 1 s: at most a thirtieth of the time. */
const PERIOD_MS_PER_RULE = 0.3;

/** Resolves on abort. Never asks for more than one verification per period. */
export async function watchTables(
  monitor: TableMonitor,
  { onDrift, periodMs, ownedRules, signal }: {
    onDrift: (what: string) => void;
    /** The `syncPeriod` of the configuration. */
    periodMs: number;
    ownedRules: () => number;
    signal: AbortSignal;
  },
): Promise<void> {
  while (!signal.aborted) {
    await pause(Math.max(periodMs, ownedRules() * PERIOD_MS_PER_RULE), signal);
    if (!signal.aborted && monitor.hasChanged() === true) {
      onDrift("somebody else changed the tables");
    }
  }
}
