/**
 * What a sync means in metrics (MET-02). Numbers come from the report and the plan.
 *
 * @module
 */

import type { SyncReport } from "../backend/contract.ts";
import type { NoLocalEndpoints } from "../model/health.ts";
import type { IpFamily } from "../model/ip.ts";
import type { Metrics } from "../server/metrics.ts";
import type { Batch } from "./changes.ts";

/** What a sync did besides its report. */
export interface SyncNumbers {
  readonly batch: Batch;
  readonly ms: number;
  readonly noLocal: NoLocalEndpoints;
}

/** The metrics of one family. */
export class SyncMetrics {
  readonly #metrics: Metrics;
  readonly #nowMs: () => number;
  readonly #labels: { readonly ip_family: string };
  #isPartial = false;

  constructor(
    family: IpFamily,
    { metrics, nowMs }: { metrics: Metrics; nowMs: () => number },
  ) {
    this.#metrics = metrics;
    this.#nowMs = nowMs;
    this.#labels = { ip_family: family };
    metrics.serve(family);
  }

  /** A sync was asked for. */
  queued(): void {
    this.#metrics.set(
      "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
      this.#nowMs() / 1000,
      this.#labels,
    );
  }

  /** A sync succeeded. */
  synced(report: SyncReport, { batch, ms, noLocal }: SyncNumbers): void {
    const metrics = this.#metrics;
    const labels = this.#labels;
    this.#isPartial = true;
    metrics.observe("kubeproxy_sync_proxy_rules_duration_seconds", ms / 1000, labels);
    metrics.observe(
      report.full
        ? "kubeproxy_sync_full_proxy_rules_duration_seconds"
        : "kubeproxy_sync_partial_proxy_rules_duration_seconds",
      ms / 1000,
      labels,
    );
    const nowMs = this.#nowMs();
    for (const triggerMs of batch.triggerTimesMs) {
      const seconds = Math.max(0, nowMs - triggerMs) / 1000;
      metrics.observe("kubeproxy_network_programming_duration_seconds", seconds, labels);
    }
    metrics.set("kubeproxy_sync_proxy_rules_last_timestamp_seconds", nowMs / 1000, labels);
    metrics.set("kubeproxy_vipd_sync_retry_seconds", 0, labels);
    metrics.add("kubeproxy_vipd_sync_written_bytes_total", report.bytesWritten, labels);
    metrics.add("kubeproxy_vipd_sync_processes_total", report.processes, labels);
    const quarantined = report.quarantined.length;
    metrics.set("kubeproxy_vipd_quarantined_service_ports", quarantined, labels);
    this.#setRules(report);
    this.#setNoLocal(noLocal);
  }

  /** A sync failed and is tried again after `retryMs`. */
  failed(retryMs: number): void {
    const labels = this.#labels;
    this.#metrics.add("kubeproxy_vipd_sync_failures_total", 1, labels);
    this.#metrics.add("kubeproxy_sync_proxy_rules_iptables_restore_failures_total", 1, labels);
    this.#metrics.add("kubeproxy_sync_proxy_rules_nftables_sync_failures_total", 1, labels);
    if (this.#isPartial) {
      this.#metrics.add(
        "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total",
        1,
        labels,
      );
    }
    this.#isPartial = false;
    this.#metrics.set("kubeproxy_vipd_sync_retry_seconds", retryMs / 1000, labels);
  }

  /** Flows were looked at. */
  flowsCleaned(deleted: number, ms: number): void {
    this.#metrics.observe(
      "kubeproxy_conntrack_reconciler_sync_duration_seconds",
      ms / 1000,
      this.#labels,
    );
    this.#metrics.add(
      "kubeproxy_conntrack_reconciler_deleted_entries_total",
      deleted,
      this.#labels,
    );
  }

  #setRules({ rules = {} }: SyncReport): void {
    for (const [table, { owned, written }] of Object.entries(rules)) {
      const labels = { table, ...this.#labels };
      this.#metrics.set("kubeproxy_sync_proxy_rules_iptables_total", owned, labels);
      this.#metrics.set("kubeproxy_sync_proxy_rules_iptables_last", written, labels);
    }
  }

  #setNoLocal(noLocal: NoLocalEndpoints): void {
    for (const policy of ["internal", "external"] as const) {
      this.#metrics.set(
        "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
        noLocal[policy],
        { ...this.#labels, traffic_policy: policy },
      );
    }
  }
}
