/**
 * Tells whether somebody else changed the tables, without a process and without reading them.
 *
 * @module
 */

import type { Logger } from "../../log.ts";
import type { IpFamily } from "../../model/ip.ts";

/** A write of our own that is under way. */
export interface OwnWrite {
  /** It is over; `commits` is how many tables it changed, undefined if it failed on the way. */
  end(result: { readonly commits: number | undefined }): void;
}

/** Notices commits of others. */
export interface TableMonitor extends Disposable {
  /** From now on only what comes after this moment counts; called right before tables are read. */
  markRead(): void;
  /** Announces a write, so that it does not count as one of others. */
  startWrite(): OwnWrite;
  /** Whether others changed something; undefined when that cannot be told, or not now. */
  hasChanged(): boolean | undefined;
}

/** For kernels and variants that give no hint. */
export const BLIND_MONITOR: TableMonitor = {
  markRead() {},
  startWrite: () => ({ end() {} }),
  hasChanged: () => undefined,
  [Symbol.dispose]() {},
};

/** The monitor of a family, or none: then there is only the hourly verification. */
export function monitorOrBlind(
  open: () => TableMonitor,
  { family, log }: { readonly family: IpFamily; readonly log: Logger },
): TableMonitor {
  try {
    return open();
  } catch (error) {
    log.warn("Cannot notice changes of others at once", { family, error });
    return BLIND_MONITOR;
  }
}
