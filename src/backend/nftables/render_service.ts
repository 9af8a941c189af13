/**
 * A ServicePort as chains, affinity sets and elements (FACTS NFT-06, NFT-08, NFT-10 to NFT-13).
 *
 * @module
 */

import { cutComment } from "../../kernel/nft/names.ts";
import type {
  Chain,
  Element,
  L4Protocol,
  NftSet,
  Rule,
  Statement,
  Verdict as NftVerdict,
} from "../../kernel/nft/values.ts";
import { bitsOf, type Cidr, containsIp, familyOf, type IpAddress } from "../../model/ip.ts";
import type { Endpoint, ServicePlan, Verdict } from "../../model/plan.ts";
import { type Context, localTraffic } from "./context.ts";
import type { Part, Placed } from "./desired.ts";
import { endpointBase, serviceBase } from "./names.ts";
import { markRule, REJECT_CHAIN } from "./render_static.ts";

/** The chains a ServicePort may have. */
interface Names {
  readonly cluster: string;
  readonly local: string;
  readonly external: string;
  readonly firewall: string;
}

/** An endpoint of a ServicePort with affinity: where it is sent to, who was sent there before. */
interface StickyEndpoint {
  readonly endpoint: Endpoint;
  readonly chain: string;
  readonly set: NftSet;
}

interface Scene {
  readonly plan: ServicePlan;
  readonly context: Context;
  readonly names: Names;
  readonly protocol: L4Protocol;
}

/** Everything that nftables holds because of one ServicePort. */
export function renderService(plan: ServicePlan, context: Context): Part {
  const scene = sceneOf(plan, context);
  const sticky = stickyEndpoints(scene);
  const chains = [
    ...sticky.map((one) => endpointChain(one, scene)),
    ...policyChains(scene, sticky),
    ...(hasExternalChain(plan) ? [externalChain(scene)] : []),
    ...(hasFirewall(plan) ? [firewallChain(scene)] : []),
  ];
  return { chains, sets: sticky.map(({ set }) => set), elements: elementsOf(scene) };
}

function sceneOf(plan: ServicePlan, context: Context): Scene {
  const base = serviceBase(plan.servicePort.name);
  const names = {
    cluster: `service-${base}`,
    local: `local-${base}`,
    external: `external-${base}`,
    firewall: `firewall-${base}`,
  };
  return { plan, context, names, protocol: L4[plan.servicePort.name.protocol] };
}

const L4 = { TCP: "tcp", UDP: "udp", SCTP: "sctp" } as const;

function stickyEndpoints({ plan, context }: Scene): readonly StickyEndpoint[] {
  const { name, affinitySeconds } = plan.servicePort;
  if (affinitySeconds === 0) return [];
  return plan.reachable.map((endpoint) => {
    const base = endpointBase(name, endpoint);
    const set: NftSet = {
      kind: "set",
      name: `affinity-${base}`,
      type: context.containers.clusterIps.type,
      timeoutSeconds: affinitySeconds,
    };
    return { endpoint, chain: `endpoint-${base}`, set };
  });
}

function endpointChain({ endpoint, chain, set }: StickyEndpoint, { protocol }: Scene): Chain {
  return {
    name: chain,
    rules: [
      { statements: [{ kind: "update", set: set.name, key: "saddr" }] },
      {
        statements: [
          { kind: "l4proto", protocol },
          { kind: "dnat", target: { ip: endpoint.ip, port: endpoint.port } },
        ],
      },
    ],
  };
}

function policyChains(scene: Scene, sticky: readonly StickyEndpoint[]): readonly Chain[] {
  const { plan, names } = scene;
  const scopes = [[names.cluster, plan.cluster], [names.local, plan.local]] as const;
  return scopes.flatMap(([name, endpoints]) => {
    if (endpoints.length === 0) return [];
    const rules = plan.servicePort.affinitySeconds > 0
      ? stickyRules(endpoints, sticky)
      : [dnatRule(endpoints, scene)];
    return [{ name, rules }];
  });
}

function dnatRule(endpoints: readonly Endpoint[], { protocol }: Scene): Rule {
  return { statements: [{ kind: "l4proto", protocol }, { kind: "pick-dnat", targets: endpoints }] };
}

/** Known clients go where they went before, others anywhere. */
function stickyRules(
  endpoints: readonly Endpoint[],
  sticky: readonly StickyEndpoint[],
): readonly Rule[] {
  const wanted = new Set(endpoints.map(({ text }) => text));
  const usable = sticky.filter(({ endpoint }) => wanted.has(endpoint.text));
  const known = usable.map(({ set, chain }): Rule => ({
    statements: [{ kind: "in-set", key: ["saddr"], set: set.name }, { kind: "goto", chain }],
  }));
  const chains = usable.map(({ chain }) => chain);
  return [...known, { statements: [{ kind: "pick-chain", chains }] }];
}

/** Traffic of pods and of the node itself may use all endpoints, whatever the external policy. */
function hasExternalChain({ servicePort, external }: ServicePlan): boolean {
  return servicePort.externallyAccessible && external.kind !== "reject";
}

function externalChain({ plan, context, names }: Scene): Chain {
  const toCluster: Statement = { kind: "goto", chain: names.cluster };
  if (plan.external.scope === "cluster") {
    return {
      name: names.external,
      rules: [markRule(context, { comment: "masquerade" }), { statements: [toCluster] }],
    };
  }
  const isLocalSource: Statement = { kind: "fib-type", side: "saddr", type: "local" };
  const fromPod = localTraffic(context.node.localTraffic, { family: context.family });
  const shortCircuits: readonly Rule[] = plan.cluster.length === 0 ? [] : [
    ...(fromPod === undefined
      ? []
      : [{ statements: [fromPod, toCluster], comment: "short-circuit pod traffic" }]),
    markRule(context, { comment: "masquerade local traffic", matches: [isLocalSource] }),
    { statements: [isLocalSource, toCluster], comment: "short-circuit local traffic" },
  ];
  const toLocal: readonly Rule[] = plan.local.length === 0
    ? []
    : [{ statements: [{ kind: "goto", chain: names.local }] }];
  return { name: names.external, rules: [...shortCircuits, ...toLocal] };
}

function hasFirewall({ servicePort }: ServicePlan): boolean {
  return servicePort.loadBalancerSourceRanges.length > 0 && servicePort.loadBalancerVips.length > 0;
}

function firewallChain({ plan, context, names }: Scene): Chain {
  const { loadBalancerSourceRanges: ranges, loadBalancerVips: vips } = plan.servicePort;
  // The node reaches the addresses of the load balancer with one of them as its source.
  const isNodeAllowed = ranges.some((range) => containsIp(range, context.node.ip));
  // Doubled ranges stay: nft keeps the braces around what was more than one.
  const of = [...ranges, ...(isNodeAllowed ? vips.map(hostCidr) : [])];
  return {
    name: names.firewall,
    rules: [{
      statements: [{ kind: "address", side: "saddr", not: true, of }, { kind: "drop" }],
    }],
  };
}

function hostCidr(ip: IpAddress): Cidr {
  return { address: ip, prefixLength: bitsOf(familyOf(ip)) };
}

function elementsOf(scene: Scene): readonly Placed[] {
  return [
    ...hairpinElements(scene),
    ...firewallElements(scene),
    ...externalElements(scene),
    ...clusterIpElements(scene),
  ];
}

/** Connections of a pod to itself by way of a service must be masqueraded. */
function hairpinElements({ plan, context, protocol }: Scene): readonly Placed[] {
  return plan.reachable.filter(({ isLocal }) => isLocal).map(({ ip, port }) => ({
    set: context.containers.hairpinConnections,
    element: { key: [ip, ip, protocol, `${port}`] },
  }));
}

function firewallElements({ plan, context, names, protocol }: Scene): readonly Placed[] {
  if (!hasFirewall(plan)) return [];
  return plan.servicePort.loadBalancerVips.map((ip) => ({
    set: context.containers.firewallIps,
    element: {
      key: [ip, protocol, `${plan.servicePort.port}`],
      verdict: { kind: "goto", chain: names.firewall },
    },
  }));
}

function clusterIpElements(scene: Scene): readonly Placed[] {
  const { plan, context: { containers }, names, protocol } = scene;
  const key = [plan.servicePort.clusterIp, protocol, `${plan.servicePort.port}`];
  const isServed = plan.internal.kind === "forward";
  const chain = plan.internal.scope === "cluster" ? names.cluster : names.local;
  const served: Placed = {
    set: containers.serviceIps,
    element: { key, verdict: { kind: "goto", chain } },
  };
  const unserved = {
    set: containers.noEndpointServices,
    element: unservedElement(key, plan.internal, scene),
  };
  return [
    isServed ? served : unserved,
    { set: containers.clusterIps, element: { key: [plan.servicePort.clusterIp] } },
  ];
}

function externalElements(scene: Scene): readonly Placed[] {
  const { plan, context: { containers }, names, protocol } = scene;
  const { externalIps, loadBalancerVips, nodePort, port } = plan.servicePort;
  const goto: NftVerdict = { kind: "goto", chain: names.external };
  const isServed = hasExternalChain(plan);
  const isUnserved = plan.external.kind !== "forward";
  const places = [...externalIps, ...loadBalancerVips].map((ip) => ({
    key: [ip, protocol, `${port}`],
    served: containers.serviceIps,
    unserved: containers.noEndpointServices,
  }));
  if (nodePort !== 0) {
    places.push({
      key: [protocol, `${nodePort}`],
      served: containers.serviceNodePorts,
      unserved: containers.noEndpointNodePorts,
    });
  }
  return places.flatMap(({ key, served, unserved }) => [
    ...(isServed ? [{ set: served, element: { key, verdict: goto } }] : []),
    ...(isUnserved ? [{ set: unserved, element: unservedElement(key, plan.external, scene) }] : []),
  ]);
}

function unservedElement(key: readonly string[], { kind }: Verdict, { plan }: Scene): Element {
  const verdict: NftVerdict = kind === "drop"
    ? { kind: "drop" }
    : { kind: "goto", chain: REJECT_CHAIN };
  return { key, verdict, comment: cutComment(plan.servicePort.name.text) };
}
