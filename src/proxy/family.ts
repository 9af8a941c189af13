/**
 * One pass of one family, from the objects to the kernel and to everybody who wants to know:
 *
 *     plan -> backend.sync -> stale flows -> service health -> metrics -> healthz
 *
 * @module
 */

import type { Backend, Quarantined, SyncReport } from "../backend/contract.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { Logger } from "../log.ts";
import { noLocalEndpoints, serviceHealthChecks } from "../model/health.ts";
import type { IpFamily } from "../model/ip.ts";
import type { HostAddress, Snapshot } from "../model/objects.ts";
import type { Plan } from "../model/plan.ts";
import type { Planner } from "../model/planner.ts";
import type { Healthz } from "../server/healthz.ts";
import type { Readiness } from "../server/readiness.ts";
import type { ServiceHealthServers } from "../server/service_health.ts";
import type { Batch, FamilyChanges } from "./changes.ts";
import type { Clock } from "./clock.ts";
import type { SyncMetrics } from "./sync_metrics.ts";
import type { SyncOutcome } from "./scheduler.ts";
import type { StaleFlows } from "./stale_flows.ts";

/** What a pass works with. */
export interface FamilyParts {
  readonly family: IpFamily;
  readonly snapshot: Snapshot;
  readonly hostAddresses: () => readonly HostAddress[];
  readonly planner: Pick<Planner, "plan">;
  readonly backend: Pick<Backend, "sync">;
  readonly changes: FamilyChanges;
  readonly staleFlows: Pick<StaleFlows, "clean">;
  readonly serviceHealth: Pick<ServiceHealthServers, "update">;
  readonly metrics: SyncMetrics;
  readonly healthz: Pick<Healthz, "started" | "synced">;
  readonly readiness: Readiness;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What /readyz waits for in each family. */
export function firstSyncOf(family: IpFamily): string {
  return `first sync of ${family}`;
}

/** Returns the pass. It rejects when the kernel could not be made to match. */
export function createFamilySync(parts: FamilyParts): () => Promise<SyncOutcome> {
  const quarantine = new QuarantineNews(parts);
  return async () => {
    const startMs = parts.clock.monotonicMs();
    parts.healthz.started(parts.family);
    const batch = parts.changes.take();
    const plan = parts.planner.plan(parts.snapshot, parts.hostAddresses());
    logNotes(plan, parts.log);
    const report = await syncOrGiveBack(plan, { parts, batch });
    const ms = parts.clock.monotonicMs() - startMs;
    await cleanFlows(plan, parts);
    const { nodePortAddresses: addresses } = plan.node;
    parts.serviceHealth.update(parts.family, { checks: serviceHealthChecks(plan), addresses });
    parts.metrics.synced(report, { batch, ms, noLocal: noLocalEndpoints(plan) });
    quarantine.tell(report.quarantined, plan);
    parts.healthz.synced(parts.family);
    parts.readiness.met(firstSyncOf(parts.family));
    parts.log.v(2, "Synced rules", syncFields(report, { plan, ms }));
    return { resyncAfterMs: report.resyncAfterMs };
  };
}

async function syncOrGiveBack(
  plan: Plan,
  { parts, batch }: { parts: FamilyParts; batch: Batch },
): Promise<SyncReport> {
  try {
    return await parts.backend.sync(plan);
  } catch (error) {
    parts.changes.giveBack(batch);
    throw error;
  }
}

async function cleanFlows(plan: Plan, { staleFlows, metrics, clock }: FamilyParts): Promise<void> {
  const startMs = clock.monotonicMs();
  const cleanup = await staleFlows.clean(plan);
  if (cleanup !== undefined) metrics.flowsCleaned(cleanup.deleted, clock.monotonicMs() - startMs);
}

function logNotes(plan: Plan, log: Logger): void {
  for (const { level, message, fields } of plan.notes) {
    if (level === "warning") log.warn(message, fields);
    else log.v(2, message, fields);
  }
}

function syncFields(
  report: SyncReport,
  { plan, ms }: { plan: Plan; ms: number },
): Readonly<Record<string, unknown>> {
  return {
    family: plan.family,
    full: report.full,
    servicePorts: plan.services.size,
    endpoints: plan.endpointCount,
    changed: report.servicesChanged,
    bytes: report.bytesWritten,
    processes: report.processes,
    ms: Math.round(ms * 10) / 10,
  };
}

/** Tells of each ServicePort that the kernel refuses once. */
class QuarantineNews {
  readonly #parts: FamilyParts;
  #reasonByKey = new Map<string, string>();

  constructor(parts: FamilyParts) {
    this.#parts = parts;
  }

  tell(quarantined: readonly Quarantined[], plan: Plan): void {
    const known = this.#reasonByKey;
    this.#reasonByKey = new Map(quarantined.map(({ key, reason }) => [key, reason]));
    for (const { key, reason } of quarantined) {
      if (known.get(key) !== reason) this.#tellOne({ key, reason }, plan);
    }
  }

  #tellOne({ key, reason }: Quarantined, plan: Plan): void {
    const { events, family, log } = this.#parts;
    log.error("Kernel refuses the rules of a Service, all others are written", {
      family,
      servicePort: key,
      reason,
    });
    const name = plan.services.get(key)?.servicePort.name;
    if (name === undefined) return;
    events.record({
      subject: { kind: "Service", namespace: name.namespace, name: name.name, uid: "" },
      type: "Warning",
      reason: "FailedToProgramService",
      action: "SyncProxyRules",
      note: `${family} port ${JSON.stringify(name.port)}: ${reason}`,
    });
  }
}
