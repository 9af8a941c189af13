/**
 * The sysctls of connection tracking that the configuration asks for (CT-07). Unlike kube-proxy,
 * vipd never lowers nf_conntrack_max, and one that cannot be written is no reason to end.
 *
 * @module
 */

import type { ConntrackConfig } from "../config/types.ts";
import type { Host } from "../kernel/procfs/host.ts";

/** More entries than this are never asked for by the number of CPUs. */
const MAX_ENTRIES = 1_048_576;
const MAX = "net/netfilter/nf_conntrack_max";

/** One value to write. */
export interface Setting {
  readonly sysctl: string;
  readonly value: string;
}

/** What nf_conntrack_max should be at least; 0: leave it alone. */
export function wantedMax(config: ConntrackConfig, cpuCount: number): number {
  if (config.maxPerCore === 0) return 0;
  return Math.min(Math.max(config.maxPerCore * cpuCount, config.min), MAX_ENTRIES);
}

/** The settings other than the maximum, in the order in which they are written. */
export function conntrackSettings(config: ConntrackConfig): readonly Setting[] {
  const timeouts = [
    ["tcp_timeout_established", config.tcpEstablishedTimeoutMs],
    ["tcp_timeout_close_wait", config.tcpCloseWaitTimeoutMs],
    ["udp_timeout", config.udpTimeoutMs],
    ["udp_timeout_stream", config.udpStreamTimeoutMs],
  ] as const;
  const settings = timeouts.filter(([, ms]) => ms > 0).map(([name, ms]) => ({
    sysctl: `net/netfilter/nf_conntrack_${name}`,
    value: String(Math.trunc(ms / 1000)),
  }));
  if (!config.tcpBeLiberal) return settings;
  return [...settings, { sysctl: "net/netfilter/nf_conntrack_tcp_be_liberal", value: "1" }];
}

/** Writes what differs. Returns what could not be written. */
export function applyConntrackSettings(config: ConntrackConfig, host: Host): readonly Error[] {
  const failures: Error[] = [];
  const attempt = (act: () => void) => {
    try {
      act();
    } catch (error) {
      failures.push(error instanceof Error ? error : new Error(String(error)));
    }
  };
  attempt(() => raiseMax(wantedMax(config, host.cpuCount()), host));
  for (const { sysctl, value } of conntrackSettings(config)) {
    attempt(() => host.sysctls.ensure(sysctl, value));
  }
  return failures;
}

function raiseMax(wanted: number, host: Host): void {
  if (wanted === 0) return;
  const current = Number(host.sysctls.read(MAX) ?? 0);
  if (current < wanted) host.sysctls.ensure(MAX, String(wanted));
  const buckets = host.conntrackHashSize();
  const wantedBuckets = Math.floor(Math.max(current, wanted) / 4);
  if (buckets !== undefined && buckets < wantedBuckets) host.setConntrackHashSize(wantedBuckets);
}
