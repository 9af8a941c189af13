/**
 * Packets that rules of ours counted in named counters, as metrics (MET-02). Both families share
 * the counters, so both backends say the same.
 *
 * @module
 */

import { LOCALHOST_COUNTER } from "./portals.ts";
import { INVALID_COUNTER } from "./statics.ts";
import type { Capabilities } from "./style.ts";

/** Packets a counter has seen; undefined when it is not there. May throw. */
export type ReadCounter = (name: string) => number | undefined;

/** The numbers by name of metric; without those the kernel does not keep. */
export function readPackets(
  read: ReadCounter,
  { invalidCounter, localhostCounter }: Capabilities,
): Readonly<Record<string, number>> {
  const rows = [
    [invalidCounter, "kubeproxy_iptables_ct_state_invalid_dropped_packets_total", INVALID_COUNTER],
    [
      localhostCounter,
      "kubeproxy_iptables_localhost_nodeports_accepted_packets_total",
      LOCALHOST_COUNTER,
    ],
  ] as const;
  const packets: Record<string, number> = {};
  for (const [isKept, metric, counter] of rows) {
    const value = isKept ? read(counter) : undefined;
    if (value !== undefined) packets[metric] = value;
  }
  return packets;
}
