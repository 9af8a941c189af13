/**
 * What is true of this node in one family: its address and zone, how traffic of its pods is
 * recognised, and where node ports answer. Answers to pkg/proxy/node.go, cmd/kube-proxy/app
 * (detectLocalMode) and pkg/proxy/util/nodeport_addresses.go of kube-proxy 1.36 (NODE-02 to -10).
 *
 * @module
 */

import { containsIp, familyOf, familyOfCidr, isLoopback, isUnspecified, parseIp } from "./ip.ts";
import type { Cidr, IpAddress, IpFamily } from "./ip.ts";
import type { HostAddress, NodeObject } from "./objects.ts";
import type { LocalTraffic, NodeFacts, NodePortAddresses, Note } from "./plan.ts";

/** How traffic of local pods is to be recognised: the `detectLocalMode` of the configuration. */
export type DetectLocal =
  | { readonly kind: "ClusterCIDR" }
  | { readonly kind: "NodeCIDR" }
  | { readonly kind: "BridgeInterface"; readonly interfaceName: string }
  | { readonly kind: "InterfaceNamePrefix"; readonly interfacePrefix: string };

/** What the configuration says about the node. */
export interface NodeOptions {
  readonly family: IpFamily;
  readonly nodeName: string;
  readonly detectLocal: DetectLocal;
  /** At most one of each family counts: the first. */
  readonly clusterCidrs: readonly Cidr[];
  readonly nodePortAddresses: readonly Cidr[] | "primary";
  /** `bindAddress`: replaces the node's address of its family unless unspecified (NODE-03). */
  readonly nodeIp?: IpAddress;
}

/** What the node says about itself. */
export interface NodeSources {
  /** undefined: not seen yet. */
  readonly node: NodeObject | undefined;
  readonly hostAddresses: readonly HostAddress[];
}

/** The dummy interface of ipvs mode carries service addresses, which are not the node's own. */
const IPVS_INTERFACE = "kube-ipvs0";

const LOOPBACK: Readonly<Record<IpFamily, IpAddress>> = {
  IPv4: parseIp("127.0.0.1"),
  IPv6: parseIp("::1"),
};

/** The facts of one family. */
export function nodeFacts(sources: NodeSources, options: NodeOptions): NodeFacts {
  const { family, nodeName } = options;
  const ip = nodeIp(sources.node, options);
  const hostAddresses = ownAddresses(sources.hostAddresses, family);
  return {
    name: nodeName,
    ip,
    zone: sources.node?.zone ?? "",
    localTraffic: localTraffic(sources.node, options),
    nodePortAddresses: nodePortAddresses(options, { ip, hostAddresses }),
    hostAddresses,
  };
}

/** What a person should hear about the facts. */
export function nodeNotes(facts: NodeFacts, options: NodeOptions): readonly Note[] {
  const { family } = options;
  const { nodePortAddresses } = facts;
  const notes: Note[] = [];
  if (isLoopback(facts.ip)) {
    notes.push({
      level: "info",
      message: "Node has no address of this family, using loopback",
      fields: { family, node: facts.name },
    });
  }
  if (nodePortAddresses.kind === "some" && nodePortAddresses.addresses.length === 0) {
    notes.push({
      level: "warning",
      message: "No address of this node matches nodePortAddresses, node ports do not answer",
      fields: { family },
    });
  }
  if (facts.localTraffic.kind === "none") {
    notes.push({
      level: "info",
      message: "No local traffic detector for this family",
      fields: { family, detectLocalMode: options.detectLocal.kind },
    });
  }
  return notes;
}

function nodeIp(node: NodeObject | undefined, options: NodeOptions): IpAddress {
  const { family, nodeIp: override } = options;
  if (override !== undefined && !isUnspecified(override) && familyOf(override) === family) {
    return override;
  }
  return node?.addresses.find((ip) => familyOf(ip) === family) ?? LOOPBACK[family];
}

function localTraffic(node: NodeObject | undefined, options: NodeOptions): LocalTraffic {
  const { detectLocal, family } = options;
  switch (detectLocal.kind) {
    case "ClusterCIDR":
      return fromCidrs(options.clusterCidrs, family);
    case "NodeCIDR":
      return fromCidrs(node?.podCidrs ?? [], family);
    case "BridgeInterface":
      return { kind: "bridge", interfaceName: detectLocal.interfaceName };
    case "InterfaceNamePrefix":
      return { kind: "prefix", interfacePrefix: detectLocal.interfacePrefix };
  }
}

function fromCidrs(cidrs: readonly Cidr[], family: IpFamily): LocalTraffic {
  const cidr = cidrs.find((cidr) => familyOfCidr(cidr) === family);
  return cidr === undefined ? { kind: "none" } : { kind: "source", cidr };
}

function ownAddresses(
  hostAddresses: readonly HostAddress[],
  family: IpFamily,
): readonly IpAddress[] {
  const own = new Set<IpAddress>();
  for (const { interfaceName, ip } of hostAddresses) {
    if (interfaceName !== IPVS_INTERFACE && familyOf(ip) === family) own.add(ip);
  }
  return [...own].sort();
}

function nodePortAddresses(
  options: NodeOptions,
  own: { readonly ip: IpAddress; readonly hostAddresses: readonly IpAddress[] },
): NodePortAddresses {
  const wanted = options.nodePortAddresses === "primary"
    ? primaryCidrs(own.ip)
    : options.nodePortAddresses.filter((cidr) => familyOfCidr(cidr) === options.family);
  // Nothing said about this family leaves it open, even when the other one is restricted.
  if (wanted.length === 0 || wanted.some((cidr) => cidr.prefixLength === 0)) return { kind: "all" };
  const addresses = own.hostAddresses.filter((ip) => wanted.some((cidr) => containsIp(cidr, ip)));
  return { kind: "some", addresses };
}

/** Without a known address `primary` restricts nothing, as in kube-proxy (NODE-10). */
function primaryCidrs(ip: IpAddress): readonly Cidr[] {
  if (isLoopback(ip)) return [];
  return [{ address: ip, prefixLength: ip.includes(":") ? 128 : 32 }];
}
