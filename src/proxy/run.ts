/**
 * The shell: builds the parts and lets them run until the signal.
 *
 *     source ──▶ store ──event──▶ changes, scheduler ──▶ family sync ──▶ kernel
 *                                     ▲                      │
 *                   drift, addresses ─┘                      └──▶ health, metrics, Events
 *
 * The order of side effects is kube-proxy's (CLI-30), but that the servers answer from the start:
 * /readyz says what is missing.
 *
 * @module
 */

import type { Mode } from "../backend/contract.ts";
import { loadMode } from "../backend/mod.ts";
import type { KubeProxyConfiguration } from "../config/types.ts";
import type { Host } from "../kernel/procfs/host.ts";
import { nodeSubject, startEvent } from "../kube/events.ts";
import { Store } from "../kube/store.ts";
import type { Logger } from "../log.ts";
import type { HostAddress } from "../model/objects.ts";
import type { Listen } from "../server/http.ts";
import type { Clock } from "./clock.ts";
import { applyConntrackSettings } from "./conntrack_settings.ts";
import { openFamilies } from "./families.ts";
import { HostAddresses } from "./host_addresses.ts";
import { removeLeftovers } from "./leftovers.ts";
import { waitForNode } from "./node_wait.ts";
import { runFamilies } from "./run_families.ts";
import { type Servers, startServers } from "./servers.ts";
import { type Source, startSource } from "./source.ts";
import type { OpenConntrack } from "./stale_flows.ts";

/** Everything the shell is given. */
export interface ProxyOptions {
  readonly config: KubeProxyConfiguration;
  /** metadata.name of the Node of this host. */
  readonly nodeName: string;
  /** Name of the machine, which need not be that of the Node. */
  readonly hostname: string;
  /** Commit this program was built from; "source" when it was not built. */
  readonly commit: string;
  /** File or directory of objects; "": ask an API server. */
  readonly manifests: string;
  /** URL of the API server; "": the one in the kubeconfig. */
  readonly master: string;
  /** Do what needs privileges, write no rules. */
  readonly isInitOnly: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly host: Host;
  readonly listHostAddresses: () => readonly HostAddress[];
  readonly listen: Listen;
  readonly openConntrack: OpenConntrack;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called once every family is in sync. */
  readonly onReady: () => void;
  /** Ends everything; rules stay in the kernel. */
  readonly signal: AbortSignal;
}

/** Runs until the signal. Rejects with what makes it impossible to go on. */
export async function runProxy(options: ProxyOptions): Promise<void> {
  const controller = new AbortController();
  const end = () => controller.abort();
  options.signal.addEventListener("abort", end, { once: true });
  if (options.signal.aborted) end();
  const inner = { ...options, signal: controller.signal };
  try {
    await runParts(inner);
  } catch (error) {
    if (!options.signal.aborted) throw error;
  } finally {
    // What was started ends with us, also when we end by an error.
    end();
    options.signal.removeEventListener("abort", end);
  }
}

async function runParts(options: ProxyOptions): Promise<void> {
  const mode = await loadMode(options.config.mode);
  warnOfConfig(options);
  const store = new Store();
  const source = await startSource({ ...options, store });
  const servers = startServers({ ...options, store });
  const node = await Promise.race([waitForNode({ ...options, store }), servers.failed]);
  servers.readiness.met("node");
  prepareNode(options, source);
  const families = await openFamilies({ ...options, mode, node });
  if (options.isInitOnly) return;
  source.events.record(startEvent(options.nodeName));
  await Promise.race([
    servers.failed,
    runFamilies({
      ...options,
      store,
      families,
      servers,
      events: source.events,
      hostAddresses: new HostAddresses(options.listHostAddresses),
      onReady: () => becomeReady(mode, { options, servers }),
    }),
  ]);
  await Promise.all([servers.done, source.done]);
}

function becomeReady(
  mode: Mode,
  { options, servers }: { options: ProxyOptions; servers: Servers },
): void {
  options.log.info("Ready: every family is in sync", { mode: mode.name });
  servers.readiness.met("first sync");
  options.onReady();
  void removeLeftovers(mode.name, options);
}

/** Sysctls and the memory killer: nothing here is a reason to end (CT-07, CLI-29). */
function prepareNode({ config, host, log, nodeName }: ProxyOptions, { events }: Source): void {
  for (const error of applyConntrackSettings(config.conntrack, host)) {
    log.warn("Cannot set up connection tracking, going on", { error });
    events.record({
      subject: nodeSubject(nodeName),
      type: "Warning",
      reason: "FailedToSetConntrack",
      action: "StartKubeProxy",
      note: error.message,
    });
  }
  try {
    host.setOomScoreAdj(config.oomScoreAdj);
  } catch (error) {
    log.v(2, "Cannot set oom_score_adj", { score: config.oomScoreAdj, error });
  }
}

/** CFG-05: allowed, but hardly meant. */
function warnOfConfig({ config, log }: ProxyOptions): void {
  if (config.detectLocalMode === "ClusterCIDR" && config.clusterCidrs.length === 0) {
    log.warn("detectLocalMode is ClusterCIDR, but clusterCIDR is not set: no traffic is local");
  }
  if (config.nodePortAddresses !== "primary" && config.nodePortAddresses.length === 0) {
    log.info(
      'nodePortAddresses is not set: node ports answer on all addresses, not only "primary"',
    );
  }
}
