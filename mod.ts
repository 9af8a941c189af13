/**
 * vipd as a library: what a node does about the Services of a cluster, as pure functions. Importing
 * it touches nothing.
 *
 * ```ts
 * const objects = parseObjects(manifest, { nodeName: "node-a" });
 * const config = parseConfiguration("");
 * const ipv4 = plan(objects, { config, nodeName: "node-a", family: "IPv4" });
 * const text = render(ipv4, { config });
 * const less = diff(ipv4, { config, observed: whatIptablesSavePrinted });
 * ```
 *
 * @module
 */

import { diffObserved } from "./src/backend/iptables/observed.ts";
import { restoresOf } from "./src/backend/iptables/changes.ts";
import { renderRuleset } from "./src/backend/iptables/render.ts";
import { wantsLocalhostNodePorts } from "./src/backend/iptables/style.ts";
import { completeConfiguration } from "./src/config/complete.ts";
import { parseConfigDocument } from "./src/config/document.ts";
import { plannerOptions } from "./src/config/planner_options.ts";
import type { KubeProxyConfiguration } from "./src/config/types.ts";
import type { Tables } from "./src/kernel/iptables/ruleset.ts";
import { parseSave } from "./src/kernel/iptables/save.ts";
import { decodeManifest } from "./src/kube/manifest.ts";
import { Store } from "./src/kube/store.ts";
import type { IpFamily } from "./src/model/ip.ts";
import type { HostAddress, Snapshot } from "./src/model/objects.ts";
import type { Plan } from "./src/model/plan.ts";
import { Planner } from "./src/model/planner.ts";

export { ConfigError, type ConfigProblem } from "./src/config/problem.ts";
export type {
  ClientConnectionConfig,
  ConntrackConfig,
  DetectLocalMode,
  IptablesConfig,
  IpvsConfig,
  KubeProxyConfiguration,
  NftablesConfig,
  ProxyMode,
} from "./src/config/types.ts";
export { ManifestError } from "./src/kube/manifest.ts";
export { type Cidr, type IpAddress, type IpFamily, parseCidr, parseIp } from "./src/model/ip.ts";
export type {
  EndpointSlice,
  HostAddress,
  NamespacedName,
  NodeObject,
  Protocol,
  Service,
  ServiceCidr,
  ServicePortSpec,
  SliceEndpoint,
  SlicePort,
  Snapshot,
  TrafficPolicy,
} from "./src/model/objects.ts";
export type {
  Endpoint,
  LocalTraffic,
  NodeFacts,
  NodePortAddresses,
  Note,
  Plan,
  Scope,
  ServicePlan,
  ServicePort,
  ServicePortName,
  Verdict,
} from "./src/model/plan.ts";

/** What a plan is made for. */
export interface PlanOptions {
  readonly config: KubeProxyConfiguration;
  /** metadata.name of the Node. */
  readonly nodeName: string;
  readonly family: IpFamily;
  /** Addresses on the interfaces of the node. Default: none. */
  readonly hostAddresses?: readonly HostAddress[];
}

/** What rules are rendered for. */
export interface RenderOptions {
  readonly config: KubeProxyConfiguration;
}

/** What a difference is made from. */
export interface DiffOptions extends RenderOptions {
  /** What `iptables-save` (`ip6tables-save` for IPv6) prints: all tables of the family. */
  readonly observed: string;
}

/**
 * Reads a KubeProxyConfiguration (YAML or JSON); "" stands for the defaults. Unknown fields are
 * left out.
 *
 * @throws {ConfigError} naming path and value of everything that is wrong.
 */
export function parseConfiguration(text: string): KubeProxyConfiguration {
  const settings = text === "" ? {} : parseConfigDocument(text, "configuration").settings;
  return completeConfiguration(settings);
}

/**
 * Reads Services, EndpointSlices, Nodes and ServiceCIDRs of a manifest (YAML with one or many
 * documents, or JSON) as the node sees them; all else is left out.
 *
 * @throws {ManifestError} when the text is neither YAML nor JSON.
 */
export function parseObjects(text: string, { nodeName }: { nodeName: string }): Snapshot {
  const store = new Store();
  for (const { change } of decodeManifest(text, { nodeName })) {
    if (change !== undefined) store.apply(change);
  }
  return store;
}

/** What the node should do for these objects in one family. */
export function plan(snapshot: Snapshot, options: PlanOptions): Plan {
  const planner = new Planner(plannerOptions(options.config, options));
  return planner.plan(snapshot, options.hostAddresses ?? []);
}

/**
 * The input of `iptables-restore --noflush` (`ip6tables-restore` for IPv6) that brings an empty
 * kernel to the plan. Other modes have none.
 *
 * @throws {TypeError} when the configuration asks for another mode.
 */
export function render(plan: Plan, { config }: RenderOptions): string {
  return restoreInput(plan, { config, observed: new Map() });
}

/**
 * The input of `iptables-restore --noflush` that brings a kernel with the rules in `observed` to
 * the plan: chains that differ, and the removal of service chains that nobody wants. "" when
 * nothing differs. Rules of others stay as they are.
 *
 * @throws {TypeError} when the configuration asks for another mode.
 * @throws {SyntaxError} at a line of `observed` that iptables-save does not print.
 */
export function diff(plan: Plan, { config, observed }: DiffOptions): string {
  return restoreInput(plan, { config, observed: parseSave(observed) });
}

function restoreInput(
  plan: Plan,
  { config, observed }: { config: KubeProxyConfiguration; observed: Tables },
): string {
  if (config.mode !== "iptables") throw new TypeError(`Cannot render mode ${config.mode} as text`);
  const facts = {
    family: plan.family,
    config: config.iptables,
    capabilities: {
      randomFully: true,
      invalidCounter: false,
      localhostCounter: false,
      dropsInvalid: true,
    },
    localhostNodePorts: wantsLocalhostNodePorts(plan.family, config),
  };
  const ruleset = renderRuleset(plan, { facts, previous: undefined });
  const changes = diffObserved(observed, ruleset);
  return [...restoresOf(changes, { maxLines: Infinity })].map(({ text }) => text).join("");
}
