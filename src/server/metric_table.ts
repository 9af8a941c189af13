/**
 * The metrics as rows: name, kind, labels, buckets, modes, help. Names and labels are those of
 * kube-proxy 1.36 (MET-02); all begin with `kubeproxy_`, and vipd's own with `kubeproxy_vipd_`.
 *
 * @module
 */

import type { ProxyMode } from "../config/types.ts";

/** One metric. */
export interface MetricRow {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  /** Of a histogram, ascending. */
  readonly buckets?: readonly number[];
  /** Where it exists; undefined: in all modes. */
  readonly modes?: readonly ProxyMode[];
  readonly help: string;
}

/** 1 ms doubled up to 16 s. */
const SYNC_BUCKETS = Array.from({ length: 15 }, (_, i) => 0.001 * 2 ** i);

const PROGRAMMING_BUCKETS = [
  0.25,
  0.5,
  ...steps({ from: 1, to: 59, by: 1 }),
  ...steps({ from: 60, to: 115, by: 5 }),
  ...steps({ from: 120, to: 300, by: 30 }),
];

const FAMILY = ["ip_family"];

/** All metrics by name. */
export const METRICS = {
  kubeproxy_sync_proxy_rules_duration_seconds: {
    kind: "histogram",
    labels: FAMILY,
    buckets: SYNC_BUCKETS,
    help: "How long a sync takes, in seconds",
  },
  kubeproxy_sync_full_proxy_rules_duration_seconds: {
    kind: "histogram",
    labels: FAMILY,
    buckets: SYNC_BUCKETS,
    modes: ["iptables", "nftables"],
    help: "How long a sync takes that writes or verifies everything, in seconds",
  },
  kubeproxy_sync_partial_proxy_rules_duration_seconds: {
    kind: "histogram",
    labels: FAMILY,
    buckets: SYNC_BUCKETS,
    modes: ["iptables", "nftables"],
    help: "How long a sync takes that writes only what changed, in seconds",
  },
  kubeproxy_network_programming_duration_seconds: {
    kind: "histogram",
    labels: FAMILY,
    buckets: PROGRAMMING_BUCKETS,
    help: "From the change of a pod or Service to its rules in the kernel, in seconds",
  },
  kubeproxy_sync_proxy_rules_last_timestamp_seconds: {
    kind: "gauge",
    labels: FAMILY,
    help: "When a sync last succeeded, in seconds since 1970",
  },
  kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds: {
    kind: "gauge",
    labels: FAMILY,
    help: "When a sync was last asked for, in seconds since 1970",
  },
  kubeproxy_sync_proxy_rules_endpoint_changes_pending: {
    kind: "gauge",
    labels: [],
    help: "Changes of endpoints that no sync has applied yet",
  },
  kubeproxy_sync_proxy_rules_endpoint_changes_total: {
    kind: "counter",
    labels: [],
    help: "Changes of endpoints seen",
  },
  kubeproxy_sync_proxy_rules_service_changes_pending: {
    kind: "gauge",
    labels: [],
    help: "Changes of Services that no sync has applied yet",
  },
  kubeproxy_sync_proxy_rules_service_changes_total: {
    kind: "counter",
    labels: [],
    help: "Changes of Services seen",
  },
  kubeproxy_sync_proxy_rules_no_local_endpoints_total: {
    kind: "gauge",
    labels: ["ip_family", "traffic_policy"],
    help: "Service ports whose traffic is dropped: the policy is Local and no endpoint is here",
  },
  kubeproxy_proxy_healthz_total: {
    kind: "counter",
    labels: ["code"],
    help: "Answers of /healthz by status",
  },
  kubeproxy_proxy_livez_total: {
    kind: "counter",
    labels: ["code"],
    help: "Answers of /livez by status",
  },
  kubeproxy_sync_proxy_rules_iptables_restore_failures_total: {
    kind: "counter",
    labels: FAMILY,
    modes: ["iptables", "ipvs"],
    help: "Syncs that failed",
  },
  kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total: {
    kind: "counter",
    labels: FAMILY,
    modes: ["iptables"],
    help: "Syncs of only what changed that failed",
  },
  kubeproxy_sync_proxy_rules_iptables_total: {
    kind: "gauge",
    labels: ["table", "ip_family"],
    modes: ["iptables"],
    help: "Rules of ours in the kernel",
  },
  kubeproxy_sync_proxy_rules_iptables_last: {
    kind: "gauge",
    labels: ["table", "ip_family"],
    modes: ["iptables"],
    help: "Rules that the last sync wrote",
  },
  kubeproxy_iptables_ct_state_invalid_dropped_packets_total: {
    kind: "counter",
    labels: [],
    modes: ["iptables"],
    help: "Packets dropped because connection tracking could not place them",
  },
  kubeproxy_iptables_localhost_nodeports_accepted_packets_total: {
    kind: "counter",
    labels: [],
    modes: ["iptables"],
    help: "Packets to node ports on loopback addresses",
  },
  kubeproxy_sync_proxy_rules_nftables_sync_failures_total: {
    kind: "counter",
    labels: FAMILY,
    modes: ["nftables"],
    help: "Syncs that failed",
  },
  kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total: {
    kind: "counter",
    labels: FAMILY,
    modes: ["nftables"],
    help: "Syncs that could not remove stale chains",
  },
  kubeproxy_conntrack_reconciler_sync_duration_seconds: {
    kind: "histogram",
    labels: FAMILY,
    buckets: SYNC_BUCKETS,
    help: "How long looking for stale flows takes, in seconds",
  },
  kubeproxy_conntrack_reconciler_deleted_entries_total: {
    kind: "counter",
    labels: FAMILY,
    help: "Stale flows deleted",
  },
  kubeproxy_vipd_sync_failures_total: {
    kind: "counter",
    labels: FAMILY,
    help: "Syncs that failed, in any mode",
  },
  kubeproxy_vipd_sync_retry_seconds: {
    kind: "gauge",
    labels: FAMILY,
    help: "Seconds until a failed sync is tried again; 0 after success",
  },
  kubeproxy_vipd_sync_written_bytes_total: {
    kind: "counter",
    labels: FAMILY,
    help: "Bytes handed to the kernel or to tools by syncs",
  },
  kubeproxy_vipd_sync_processes_total: {
    kind: "counter",
    labels: FAMILY,
    help: "Child processes started by syncs",
  },
  kubeproxy_vipd_quarantined_service_ports: {
    kind: "gauge",
    labels: FAMILY,
    help: "Service ports that the kernel would not take",
  },
} as const satisfies Readonly<Record<string, MetricRow>>;

/** The name of a metric. */
export type MetricName = keyof typeof METRICS;

function steps({ from, to, by }: { from: number; to: number; by: number }): readonly number[] {
  return Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, i) => from + i * by);
}
