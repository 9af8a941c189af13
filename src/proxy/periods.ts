/**
 * How often the active mode syncs.
 *
 * @module
 */

import type { KubeProxyConfiguration } from "../config/types.ts";

/** In milliseconds. */
export interface SyncPeriods {
  readonly syncMs: number;
  /** undefined: not set, as long as the last sync took. */
  readonly minMs: number | undefined;
}

/** The periods of the active mode. */
export function syncPeriods(config: KubeProxyConfiguration): SyncPeriods {
  const { syncPeriodMs, minSyncPeriodMs } = config[config.mode];
  return { syncMs: syncPeriodMs, minMs: minSyncPeriodMs };
}
