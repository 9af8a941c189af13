/**
 * Observed flows x plan -> the UDP flows that still point to nobody. UDP has no end of connection,
 * so the kernel keeps sending packets of a known flow where they went before. Answers to
 * pkg/proxy/conntrack/cleanup.go of kube-proxy 1.36 (CT-01 to CT-06), with two differences:
 * a node port is matched on the addresses where node ports answer only (CT-03), and a Service
 * whose last endpoint went is cleaned too (CT-04).
 *
 * @module
 */

import { formatHostPort } from "./ip.ts";
import type { IpAddress, IpFamily } from "./ip.ts";
import type { Protocol } from "./objects.ts";
import type { NodeFacts, Plan, ServicePlan } from "./plan.ts";

/** One direction of a flow. */
export interface FlowTuple {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** An entry of the connection tracking table. */
export interface Flow {
  readonly family: IpFamily;
  readonly protocol: Protocol;
  /** As the client sent it. */
  readonly original: FlowTuple;
  /** As answers come: its source is who really serves. */
  readonly reply: FlowTuple;
}

/** The flows to delete, in the order they were given. */
export function staleFlows(flows: readonly Flow[], plan: Plan): readonly Flow[] {
  const serversByFrontend = udpServers(plan);
  if (serversByFrontend.size === 0) return [];
  return flows.filter((flow) => {
    // TCP and SCTP ends notice by themselves and are left alone (CT-05).
    if (flow.protocol !== "UDP" || flow.family !== plan.family) return false;
    const { destination, destinationPort } = flow.original;
    const servers = serversByFrontend.get(formatHostPort(destination, destinationPort));
    if (servers === undefined) return false;
    return !servers.has(formatHostPort(flow.reply.source, flow.reply.sourcePort));
  });
}

/**
 * Whether flows have to be looked at after `plan` was written: the endpoints of a UDP ServicePort
 * changed, or there is a new one (EP-11). `previous` is the plan flows were last cleaned for;
 * undefined at the start, when everything counts as new (CT-06).
 */
export function needsConntrackCleanup(previous: Plan | undefined, plan: Plan): boolean {
  if (previous?.services === plan.services) return false;
  for (const [key, servicePlan] of plan.services) {
    if (!isUdp(servicePlan)) continue;
    const before = previous?.services.get(key);
    if (before !== servicePlan && before?.endpoints !== servicePlan.endpoints) return true;
  }
  return false;
}

/** By `ip:port` where clients send to: `ip:port` of everybody who serves there. */
function udpServers(plan: Plan): ReadonlyMap<string, ReadonlySet<string>> {
  const nodeAddresses = nodePortAddresses(plan.node);
  const serversByFrontend = new Map<string, ReadonlySet<string>>();
  for (const servicePlan of plan.services.values()) {
    if (!isUdp(servicePlan)) continue;
    // Policy, topology and readiness steer new flows; running ones stay while somebody serves.
    const serving = servicePlan.endpoints.filter((endpoint) => endpoint.serving);
    const servers = new Set(serving.map((endpoint) => endpoint.text));
    for (const frontend of frontends(servicePlan, nodeAddresses)) {
      serversByFrontend.set(frontend, servers);
    }
  }
  return serversByFrontend;
}

function frontends(
  { servicePort }: ServicePlan,
  nodeAddresses: readonly IpAddress[],
): readonly string[] {
  const { clusterIp, externalIps, loadBalancerVips, port, nodePort } = servicePort;
  const addresses = [clusterIp, ...externalIps, ...loadBalancerVips];
  const onNode = nodePort === 0 ? [] : nodeAddresses;
  return [
    ...addresses.map((ip) => formatHostPort(ip, port)),
    ...onNode.map((ip) => formatHostPort(ip, nodePort)),
  ];
}

function nodePortAddresses(node: NodeFacts): readonly IpAddress[] {
  return node.nodePortAddresses.kind === "all"
    ? node.hostAddresses
    : node.nodePortAddresses.addresses;
}

function isUdp({ servicePort }: ServicePlan): boolean {
  return servicePort.name.protocol === "UDP";
}
