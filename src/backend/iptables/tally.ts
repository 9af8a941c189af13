/**
 * What a sync has done so far, added up over its attempts.
 *
 * @module
 */

import type { RestoreText } from "../../kernel/iptables/restore.ts";

/** Numbers of one sync. */
export interface Tally {
  /** Times the wish was compared and written, as a whole or in part. */
  attempts: number;
  /** Restores that succeeded. */
  restores: number;
  /** The kernel was read and compared with everything that is wanted. */
  full: boolean;
  bytesWritten: number;
  processes: number;
  /** Rules written, by table. */
  readonly written: Record<string, number>;
  /** Keys of services of which something was written or removed. */
  readonly services: Set<string>;
}

/** Nothing done yet. */
export function newTally(): Tally {
  return {
    attempts: 0,
    restores: 0,
    full: false,
    bytesWritten: 0,
    processes: 0,
    written: {},
    services: new Set(),
  };
}

/** Counts a restore that succeeded. */
export function countRestore(tally: Tally, restore: RestoreText): void {
  tally.restores++;
  for (const [table, rules] of Object.entries(restore.rules)) {
    tally.written[table] = (tally.written[table] ?? 0) + rules;
  }
  for (const owner of restore.owners) tally.services.add(owner);
}
