/**
 * Keeps all families in sync until the signal. They share the objects and nothing else: one that
 * fails does not stop the other.
 *
 * @module
 */

import type { Backend } from "../backend/contract.ts";
import type { KubeProxyConfiguration } from "../config/types.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { Store } from "../kube/store.ts";
import type { Logger } from "../log.ts";
import type { IpFamily } from "../model/ip.ts";
import { Planner } from "../model/planner.ts";
import type { Listen } from "../server/http.ts";
import { type BindFailure, ServiceHealthServers } from "../server/service_health.ts";
import { FamilyChanges } from "./changes.ts";
import type { Clock } from "./clock.ts";
import type { OpenFamily } from "./families.ts";
import { createFamilySync, firstSyncOf } from "./family.ts";
import type { HostAddresses } from "./host_addresses.ts";
import { syncPeriods } from "./periods.ts";
import { plannerOptions } from "../config/planner_options.ts";
import { Scheduler } from "./scheduler.ts";
import type { Servers } from "./servers.ts";
import { type OpenConntrack, StaleFlows } from "./stale_flows.ts";
import { SyncMetrics } from "./sync_metrics.ts";

/** What keeping in sync needs. */
export interface RunFamiliesOptions {
  readonly config: KubeProxyConfiguration;
  readonly nodeName: string;
  readonly store: Store;
  readonly families: readonly OpenFamily[];
  readonly servers: Pick<Servers, "healthz" | "readiness" | "metrics">;
  readonly events: EventRecorder;
  readonly hostAddresses: HostAddresses;
  readonly listen: Listen;
  readonly openConntrack: OpenConntrack;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Called once, after the first complete sync of every family. */
  readonly onReady: () => void;
}

const VERIFY_EVERY_MS = 60 * 60_000;
const ADDRESSES_EVERY_MS = 10_000;
const DRIFT_WATCH_RETRY_MS = 5_000;
const SERVICE_CIDRS_MS = 250;
const SERVICE_CIDRS_POLL_MS = 10;

/** One family with its loop. */
interface Running extends OpenFamily {
  readonly changes: FamilyChanges;
  readonly scheduler: Scheduler;
  readonly metrics: SyncMetrics;
}

/** Runs until the signal. */
export async function runFamilies(options: RunFamiliesOptions): Promise<void> {
  const { store, servers, signal } = options;
  const serviceHealth = createServiceHealth(options);
  const ready = whenAllReady(options);
  const running: Running[] = [];
  const onSyncEnd = () => showPending(running, options);
  for (const open of options.families) {
    running.push(createFamily(open, { ...options, serviceHealth, onSynced: ready, onSyncEnd }));
  }
  for (const { family } of running) {
    servers.readiness.need(firstSyncOf(family));
    // As kube-proxy: an API server that does not answer is no reason to restart us (SYNC-13).
    servers.healthz.synced(family);
  }
  await store.whenSynced(signal);
  for (const { family } of running) servers.healthz.queued(family);
  await awaitServiceCidrs(options);
  const unsubscribe = followStore(running, options);
  const loops = running.flatMap(({ scheduler, backend, family }) => [
    scheduler.run(signal),
    watchDrift({ scheduler, backend, family }, options),
  ]);
  await Promise.all([...loops, pollAddresses(running, options)]);
  unsubscribe();
  await serviceHealth.close();
  for (const { backend } of running) backend.close();
}

/**
 * ServiceCIDRs come in at the same time as all else. Without them the first sync would take away
 * what the second one puts back (SYNC-14); but old API servers have none, so not for long.
 */
async function awaitServiceCidrs({ store, clock, signal }: RunFamiliesOptions): Promise<void> {
  for (let waitedMs = 0; waitedMs < SERVICE_CIDRS_MS; waitedMs += SERVICE_CIDRS_POLL_MS) {
    if (store.hasSyncedKind("ServiceCIDR") || signal.aborted) return;
    await clock.sleep(SERVICE_CIDRS_POLL_MS, signal);
  }
}

interface FamilyContext extends RunFamiliesOptions {
  readonly serviceHealth: ServiceHealthServers;
  readonly onSynced: (family: IpFamily) => void;
  readonly onSyncEnd: () => void;
}

function createFamily({ family, backend }: OpenFamily, context: FamilyContext): Running {
  const { config, clock, log, servers } = context;
  const metrics = new SyncMetrics(family, { metrics: servers.metrics, nowMs: () => clock.nowMs() });
  servers.metrics.follow(() => packetsOf(backend, { family, log }));
  const changes = new FamilyChanges(family, clock.nowMs());
  const pass = createFamilySync({
    ...context,
    family,
    backend,
    changes,
    metrics,
    snapshot: context.store,
    hostAddresses: () => context.hostAddresses.read(),
    planner: new Planner(plannerOptions(config, { family, nodeName: context.nodeName })),
    staleFlows: new StaleFlows(context.openConntrack, log),
    healthz: servers.healthz,
    readiness: servers.readiness,
  });
  const { syncMs, minMs } = syncPeriods(config);
  const scheduler = new Scheduler({
    sync: async () => {
      try {
        const outcome = await pass();
        context.onSynced(family);
        return outcome;
      } finally {
        context.onSyncEnd();
      }
    },
    distrust: () => backend.distrust(),
    onFailure: (error, retryMs) => {
      metrics.failed(retryMs);
      log.error("Cannot sync rules, trying again", { family, retryMs, error });
    },
    minIntervalMs: minMs,
    maxRetryMs: syncMs,
    verifyEveryMs: VERIFY_EVERY_MS,
    clock,
  });
  return { family, backend, changes, scheduler, metrics };
}

/** Nothing is worth a scrape that fails. */
function packetsOf(
  backend: Backend,
  { family, log }: { family: IpFamily; log: Logger },
): Readonly<Record<string, number>> {
  try {
    return backend.packets?.() ?? {};
  } catch (error) {
    log.v(2, "Cannot read packet counters", { family, error });
    return {};
  }
}

/** Every event of the store is a request to every family; it decides what it means. */
function followStore(running: readonly Running[], options: RunFamiliesOptions): () => void {
  const { store, servers } = options;
  return store.subscribe((event) => {
    if (event.kind === "Service") {
      servers.metrics.add("kubeproxy_sync_proxy_rules_service_changes_total", running.length);
    }
    if (event.kind === "EndpointSlice") {
      servers.metrics.add("kubeproxy_sync_proxy_rules_endpoint_changes_total", running.length);
    }
    for (const { family, changes, scheduler, metrics } of running) {
      changes.note(event, store);
      servers.healthz.queued(family);
      metrics.queued();
      scheduler.request();
    }
    showPending(running, options);
  });
}

/** Changes that a sync still has to apply, counted once per family as kube-proxy does. */
function showPending(running: readonly Running[], { servers }: RunFamiliesOptions): void {
  const pending = running.map(({ changes }) => changes.pending);
  const sum = (kind: "services" | "endpoints") =>
    pending.reduce((total, counts) => total + counts[kind], 0);
  const { metrics } = servers;
  metrics.set("kubeproxy_sync_proxy_rules_service_changes_pending", sum("services"));
  metrics.set("kubeproxy_sync_proxy_rules_endpoint_changes_pending", sum("endpoints"));
}

async function watchDrift(
  { scheduler, backend, family }: Pick<Running, "scheduler" | "backend" | "family">,
  { clock, log, signal }: RunFamiliesOptions,
): Promise<void> {
  const onDrift = (what: string) => {
    // A CNI plugin does so every minute; backends say when something of ours was touched.
    log.v(2, "Verifying rules, others may have changed them", { family, what });
    scheduler.requestVerification();
  };
  while (!signal.aborted) {
    try {
      await backend.watch(onDrift, { signal });
    } catch (error) {
      log.error("Cannot watch for changes by others, trying again", { family, error });
    }
    await clock.sleep(DRIFT_WATCH_RETRY_MS, signal);
  }
}

/** An address that comes or goes changes where node ports answer. */
async function pollAddresses(
  running: readonly Running[],
  { hostAddresses, clock, log, signal }: RunFamiliesOptions,
): Promise<void> {
  let known = hostAddresses.read();
  while (!signal.aborted) {
    await clock.sleep(ADDRESSES_EVERY_MS, signal);
    // A sync of one family may have noticed in between; the other has to hear of it too.
    const addresses = hostAddresses.read();
    if (signal.aborted || addresses === known) continue;
    known = addresses;
    log.v(2, "Addresses of this node changed", { addresses: addresses.length });
    for (const { scheduler } of running) scheduler.request();
  }
}

function whenAllReady({ families, onReady }: RunFamiliesOptions): (family: IpFamily) => void {
  const waiting = new Set(families.map(({ family }) => family));
  return (family) => {
    if (waiting.delete(family) && waiting.size === 0) onReady();
  };
}

function createServiceHealth(options: RunFamiliesOptions): ServiceHealthServers {
  const { servers, listen, clock, signal } = options;
  return new ServiceHealthServers({
    isProxyHealthy: () => servers.healthz.isHealthy(),
    listen,
    sleep: (ms, until) => clock.sleep(ms, until),
    signal,
    onBindFailure: (failure) => tellBindFailure(failure, options),
  });
}

function tellBindFailure(
  { service, ip, port, error }: BindFailure,
  { events, log }: RunFamiliesOptions,
): void {
  log.error("Cannot listen for the health check of a Service, trying again", {
    service,
    ip,
    port,
    error,
  });
  const [namespace = "", name = ""] = service.split("/");
  events.record({
    subject: { kind: "Service", namespace, name, uid: "" },
    type: "Warning",
    reason: "FailedToStartServiceHealthcheck",
    action: "Listen",
    note: `${ip} port ${port}: ${error instanceof Error ? error.message : error}`,
  });
}
