/**
 * ServicePlan -> what ipvs mode wants for it: virtual servers with their real servers, entries of
 * sets, addresses of the dummy device, and rules of KUBE-IPVS-OUT-FILTER.
 * FACTS IPVS-05, IPVS-06, IPVS-14, IPVS-16 to IPVS-19.
 *
 * @module
 */

import { formatRule } from "../../kernel/iptables/rule.ts";
import type { Rule } from "../../kernel/iptables/ruleset.ts";
import { formatVirtualServer, type VirtualServerAddress } from "../../kernel/ipvs/values.ts";
import {
  bitsOf,
  type Cidr,
  containsIp,
  familyOf,
  formatCidr,
  type IpAddress,
  isLinkLocal,
  isLoopback,
} from "../../model/ip.ts";
import type { Protocol } from "../../model/objects.ts";
import type { Endpoint, NodeFacts, ServicePlan } from "../../model/plan.ts";
import type { SetName } from "./sets.ts";

/** A virtual server and where it sends connections. Scheduler and flags are the mode's. */
export interface ServerWish {
  /** Unique among virtual servers; two Services that want the same one are told apart by it. */
  readonly key: string;
  readonly address: VirtualServerAddress;
  /** Persistence in seconds; 0: none. */
  readonly persistenceSeconds: number;
  readonly realServers: readonly Endpoint[];
}

/** An entry of a set, as `ipset save` prints it. */
export type SetEntry = readonly [set: SetName, entry: string];

/** Everything one ServicePort wants of the kernel. Same plan and place: same object. */
export interface ServiceWish {
  readonly plan: ServicePlan;
  readonly place: ServicePlace;
  readonly servers: readonly ServerWish[];
  readonly entries: readonly SetEntry[];
  /** For the dummy device. */
  readonly addresses: readonly IpAddress[];
  readonly outFilterRules: readonly Rule[];
  /** The load balancer was left out. */
  readonly isCurtailed: boolean;
}

/** What of the node a ServicePort's wish depends on. Replaced only when something changed. */
export interface ServicePlace {
  readonly nodeIp: IpAddress;
  /** Where node ports answer: no loopback, no link-local addresses. */
  readonly nodePortIps: readonly IpAddress[];
  /** Addresses that other interfaces have, so the dummy device must not. */
  readonly hostIps: ReadonlySet<IpAddress>;
}

/**
 * The place of this node; `previous` when it is still the same. Node ports never answer on
 * loopback addresses (IPVS-27).
 */
export function servicePlace(node: NodeFacts, previous?: ServicePlace): ServicePlace {
  const candidates = node.nodePortAddresses.kind === "all"
    ? node.hostAddresses.filter((ip) => !(familyOf(ip) === "IPv6" && isLinkLocal(ip)))
    : node.nodePortAddresses.addresses;
  const place = {
    nodeIp: node.ip,
    nodePortIps: candidates.filter((ip) => !isLoopback(ip)),
    hostIps: new Set(node.hostAddresses),
  };
  return previous !== undefined && isSamePlace(previous, place) ? previous : place;
}

function isSamePlace(a: ServicePlace, b: ServicePlace): boolean {
  return a.nodeIp === b.nodeIp && a.hostIps.size === b.hostIps.size &&
    [...a.hostIps].every((ip) => b.hostIps.has(ip)) &&
    a.nodePortIps.length === b.nodePortIps.length &&
    a.nodePortIps.every((ip, i) => ip === b.nodePortIps[i]);
}

/** The wish of one ServicePort. */
export function serviceWish(plan: ServicePlan, place: ServicePlace): ServiceWish {
  const { servicePort } = plan;
  const portals = [servicePort.externalIps, servicePort.loadBalancerVips].flat();
  const bound = portals.filter((ip) => !place.hostIps.has(ip));
  return {
    plan,
    place,
    servers: servers(plan, place),
    entries: [
      ...loopbackEntries(plan),
      ...clusterIpEntries(plan),
      ...externalIpEntries(plan),
      ...loadBalancerEntries(plan, place),
      ...nodePortEntries(plan, place),
    ],
    addresses: [servicePort.clusterIp, ...bound],
    outFilterRules: outFilterRules(plan, place),
    isCurtailed: false,
  };
}

/**
 * The wish for a kernel that refuses the rules of {@linkcode outFilterRules}: who needs one goes
 * without its load balancer, which nothing would keep this node from; the rest of it is served.
 */
export function curtailedWish(plan: ServicePlan, place: ServicePlace): ServiceWish {
  if (outFilterRules(plan, place).length === 0) return serviceWish(plan, place);
  const servicePort = { ...plan.servicePort, loadBalancerVips: [] };
  return { ...serviceWish({ ...plan, servicePort }, place), plan, isCurtailed: true };
}

function servers(plan: ServicePlan, place: ServicePlace): readonly ServerWish[] {
  const { servicePort, internal, external } = plan;
  const { nodePort, port, externalIps, loadBalancerVips } = servicePort;
  const outside = realServers(plan, external.scope);
  const nodePortIps = nodePort === 0 ? [] : place.nodePortIps;
  const wish = (ip: IpAddress, target: Pick<ServerWish, "realServers"> & { port: number }) => {
    const address = { ip, protocol: servicePort.name.protocol, port: target.port };
    return {
      key: formatVirtualServer(address),
      address,
      persistenceSeconds: servicePort.affinitySeconds,
      realServers: target.realServers,
    };
  };
  return [
    wish(servicePort.clusterIp, { port, realServers: realServers(plan, internal.scope) }),
    ...[...externalIps, ...loadBalancerVips].map((ip) => wish(ip, { port, realServers: outside })),
    ...nodePortIps.map((ip) => wish(ip, { port: nodePort, realServers: outside })),
  ];
}

/**
 * Policy Local without an endpoint here falls back to all endpoints, so that pods of this node
 * still reach the Service (kubernetes pull request 97081).
 */
function realServers(plan: ServicePlan, scope: "cluster" | "local"): readonly Endpoint[] {
  return scope === "local" && plan.local.length > 0 ? plan.local : plan.cluster;
}

/** A pod that reaches itself must be masqueraded; readiness does not matter for that. */
function loopbackEntries({ servicePort, endpoints }: ServicePlan): readonly SetEntry[] {
  const protocol = servicePort.name.protocol.toLowerCase();
  return endpoints.filter(({ isLocal }) => isLocal)
    .map(({ ip, port }) => ["KUBE-LOOP-BACK", `${ip},${protocol}:${port},${ip}`]);
}

function clusterIpEntries({ servicePort }: ServicePlan): readonly SetEntry[] {
  return [["KUBE-CLUSTER-IP", portalEntry(servicePort.clusterIp, servicePort)]];
}

function externalIpEntries({ servicePort, external }: ServicePlan): readonly SetEntry[] {
  const set = external.scope === "local" ? "KUBE-EXTERNAL-IP-LOCAL" : "KUBE-EXTERNAL-IP";
  return servicePort.externalIps.map((ip) => [set, portalEntry(ip, servicePort)]);
}

function loadBalancerEntries(plan: ServicePlan, place: ServicePlace): readonly SetEntry[] {
  const { servicePort, external } = plan;
  const ranges = servicePort.loadBalancerSourceRanges;
  return servicePort.loadBalancerVips.flatMap((vip) => {
    const portal = portalEntry(vip, servicePort);
    const entries: SetEntry[] = [["KUBE-LOAD-BALANCER", portal]];
    if (external.scope === "local") entries.push(["KUBE-LOAD-BALANCER-LOCAL", portal]);
    if (ranges.length === 0) return entries;
    entries.push(["KUBE-LOAD-BALANCER-FW", portal]);
    for (const range of ranges) {
      entries.push(["KUBE-LOAD-BALANCER-SOURCE-CIDR", `${portal},${formatNet(range)}`]);
    }
    if (allowsNode(plan, place)) {
      entries.push(["KUBE-LOAD-BALANCER-SOURCE-IP", `${portal},${vip}`]);
    }
    return entries;
  });
}

function nodePortEntries(
  { servicePort, external }: ServicePlan,
  place: ServicePlace,
): readonly SetEntry[] {
  const { nodePort, healthCheckNodePort } = servicePort;
  // Where node ports answer nowhere, kube-proxy leaves out the port of the health check as well.
  if (nodePort !== 0 && place.nodePortIps.length === 0) return [];
  const entries: SetEntry[] = [];
  if (healthCheckNodePort !== 0) {
    entries.push(["KUBE-HEALTH-CHECK-NODE-PORT", String(healthCheckNodePort)]);
  }
  if (nodePort === 0) return entries;
  const { protocol } = servicePort.name;
  const [all, local] = NODE_PORT_SETS[protocol];
  // There is no bitmap for SCTP, so its sets hold every address the port answers on.
  const texts = protocol === "SCTP"
    ? place.nodePortIps.map((ip) => `${ip},sctp:${nodePort}`)
    : [String(nodePort)];
  for (const text of texts) {
    entries.push([all, text]);
    if (external.scope === "local") entries.push([local, text]);
  }
  return entries;
}

const NODE_PORT_SETS: Readonly<Record<Protocol, readonly [SetName, SetName]>> = {
  TCP: ["KUBE-NODE-PORT-TCP", "KUBE-NODE-PORT-LOCAL-TCP"],
  UDP: ["KUBE-NODE-PORT-UDP", "KUBE-NODE-PORT-LOCAL-UDP"],
  SCTP: ["KUBE-NODE-PORT-SCTP-HASH", "KUBE-NODE-PORT-LOCAL-SCTP-HASH"],
};

/**
 * With source ranges that leave this node out, its own processes must not reach the VIP: IPVS
 * takes their packets in OUTPUT, behind the firewall of INPUT and FORWARD.
 */
function outFilterRules(plan: ServicePlan, place: ServicePlace): readonly Rule[] {
  const { servicePort } = plan;
  if (servicePort.loadBalancerSourceRanges.length === 0 || allowsNode(plan, place)) return [];
  const protocol = PROTOCOL_NUMBERS[servicePort.name.protocol];
  return servicePort.loadBalancerVips.map((vip) =>
    formatRule({
      source: `${vip}/${bitsOf(familyOf(vip))}`,
      matches: [`-m ipvs --vproto ${protocol} --vaddr ${vip} --vport ${servicePort.port}`],
      target: "DROP",
    })
  );
}

const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

function allowsNode({ servicePort }: ServicePlan, { nodeIp }: ServicePlace): boolean {
  return servicePort.loadBalancerSourceRanges.some((range) => containsIp(range, nodeIp));
}

function portalEntry(ip: IpAddress, { name, port }: ServicePlan["servicePort"]): string {
  return `${ip},${name.protocol.toLowerCase()}:${port}`;
}

/** ipset prints a network of one address without its length. */
function formatNet(cidr: Cidr): string {
  const isAddress = cidr.prefixLength === bitsOf(familyOf(cidr.address));
  return isAddress ? cidr.address : formatCidr(cidr);
}
