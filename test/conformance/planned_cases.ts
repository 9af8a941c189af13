/**
 * Conformance cases without a kernel: the objects of each step through decoder, store and planner,
 * as the daemon would plan them on the node of the captures (README.md, "How they were captured").
 *
 * @module
 */

import { completeConfiguration } from "../../src/config/complete.ts";
import { parseConfigDocument } from "../../src/config/document.ts";
import type { KubeProxyConfiguration } from "../../src/config/types.ts";
import { decodeGone, decodeObject } from "../../src/kube/decode.ts";
import type { JsonObject } from "../../src/kube/json.ts";
import { resourceOf } from "../../src/kube/resources.ts";
import { Store } from "../../src/kube/store.ts";
import { type IpFamily, parseIp } from "../../src/model/ip.ts";
import type { DetectLocal } from "../../src/model/node.ts";
import type { HostAddress } from "../../src/model/objects.ts";
import type { Plan } from "../../src/model/plan.ts";
import { Planner } from "../../src/model/planner.ts";
import { parse, stringify } from "yaml";

/** Where the cases are. */
export const CASES: URL = new URL("./cases/", import.meta.url);

const NODE_NAME = "node-a";

const HOST_ADDRESSES: readonly HostAddress[] = [
  ["lo", "127.0.0.1"],
  ["lo", "::1"],
  ["n0", "192.168.77.2"],
  ["n0", "fd00:77::2"],
].map(([interfaceName = "", ip = ""]) => ({ interfaceName, ip: parseIp(ip) }));

/** What a step does to the proxy, as in the README. */
export interface ProxyAction {
  readonly action?: "stop" | "kill" | "start" | "restart" | "cleanup";
  readonly mode?: string;
  readonly config?: Readonly<Record<string, unknown>>;
}

/** One step: the configuration in force and the plans of both families after it. */
export interface PlannedStep {
  /** `00`, `01` … */
  readonly number: string;
  readonly proxy: ProxyAction;
  readonly config: KubeProxyConfiguration;
  readonly plans: Readonly<Record<IpFamily, Plan>>;
}

/** Names of the cases that were captured in a mode. */
export function caseNames(mode: string): readonly string[] {
  return [...Deno.readDirSync(CASES)].map(({ name }) => name)
    .filter((name) => isThere(new URL(`${name}/expected/${mode}`, CASES))).sort();
}

/** The captured text of a step; "" when the file is not there. */
export function expectedText(path: string): string {
  const url = new URL(path, CASES);
  return isThere(url) ? Deno.readTextFileSync(url) : "";
}

/** The steps of a case, one after the other. Planners live on like those of the daemon. */
export function* planSteps(name: string, mode = "nftables"): Generator<PlannedStep> {
  const first = asRecord(parse(expectedText(`${name}/case.yaml`)));
  const steps = Array.isArray(first["steps"]) ? first["steps"] : [];
  const store = new Store();
  let settings = asRecord(parse(expectedText(`${name}/config.yaml`)));
  let hostAddresses = HOST_ADDRESSES;
  let planners: Readonly<Record<IpFamily, Planner>> | undefined;
  for (const i of steps.keys()) {
    const number = `${i}`.padStart(2, "0");
    const step = asRecord(JSON.parse(expectedText(`${name}/${number}.json`)));
    const proxy: ProxyAction = asRecord((i === 0 ? asRecord(steps[0]) : step)["proxy"] ?? {});
    applyObjects(store, step);
    hostAddresses = [...hostAddresses, ...addedAddresses(i === 0 ? asRecord(steps[0]) : step)];
    settings = { ...settings, ...proxy.config };
    const config = completeConfiguration(
      parseConfigDocument(stringify({ mode, ...settings }), name).settings,
    );
    if (proxy.config !== undefined || planners === undefined) planners = plannersOf(config);
    const plans = {
      IPv4: planners.IPv4.plan(store, hostAddresses),
      IPv6: planners.IPv6.plan(store, hostAddresses),
    };
    yield { number, proxy, config, plans };
  }
}

/** Addresses that the commands of a step give to the node. */
function addedAddresses(step: Readonly<Record<string, unknown>>): readonly HostAddress[] {
  const commands = Array.isArray(step["run"]) ? step["run"].join("\n") : "";
  return [...commands.matchAll(/ip addr add ([^ /]+)\/\d+ dev (\w+)/g)].map(
    ([, ip = "", interfaceName = ""]) => ({ interfaceName, ip: parseIp(ip) }),
  );
}

function applyObjects(store: Store, step: Readonly<Record<string, unknown>>): void {
  for (const json of listOf(step["items"] ?? step["apply"])) {
    const resource = resourceOf(json);
    if (resource === undefined) continue;
    const { change } = decodeObject(json, { resource, nodeName: NODE_NAME });
    if (change !== undefined) store.apply(change);
  }
  for (const json of listOf(step["delete"])) {
    const resource = resourceOf(json);
    const { namespace, name } = json;
    const change = resource && decodeGone({ metadata: { namespace, name } }, resource.kind);
    if (change !== undefined) store.apply(change);
  }
}

function plannersOf(config: KubeProxyConfiguration): Readonly<Record<IpFamily, Planner>> {
  return { IPv4: plannerOf(config, "IPv4"), IPv6: plannerOf(config, "IPv6") };
}

function plannerOf(config: KubeProxyConfiguration, family: IpFamily): Planner {
  return new Planner({
    family,
    nodeName: NODE_NAME,
    detectLocal: detectLocal(config),
    clusterCidrs: config.clusterCidrs,
    nodePortAddresses: config.nodePortAddresses,
    nodeIp: config.bindAddress,
    allowExternalIps: true,
    nodeHints: true,
  });
}

function detectLocal(config: KubeProxyConfiguration): DetectLocal {
  const { detectLocalMode: kind, detectLocal: { bridgeInterface, interfaceNamePrefix } } = config;
  if (kind === "BridgeInterface") return { kind, interfaceName: bridgeInterface };
  if (kind === "InterfaceNamePrefix") return { kind, interfacePrefix: interfaceNamePrefix };
  return { kind };
}

function isThere(url: URL): boolean {
  try {
    Deno.statSync(url);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function listOf(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? value.map(asRecord) : [];
}

function asRecord(value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null) return { ...value };
  throw new TypeError(`Not an object: ${JSON.stringify(value)}`);
}
