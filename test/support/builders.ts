/**
 * Objects for tests, made of the fields a test cares about; the rest is the plainest that works.
 * The address plan is that of HOUSE: pods 10.0.0.0/8, services 172.30.0.0/16, nodes
 * 192.168.0.0/24, outside 203.0.113.0/24. The node under test is "here".
 *
 * @module
 */

import { parseCidr, parseIp } from "../../src/model/ip.ts";
import type {
  EndpointSlice,
  NamespacedName,
  NodeObject,
  Service,
  ServiceCidr,
  SliceEndpoint,
  Snapshot,
} from "../../src/model/objects.ts";
import type { PlannerOptions } from "../../src/model/planner.ts";

/** A ClusterIP Service `ns/web` with TCP port `http` 80. */
export function service(fields: Partial<Service> = {}): Service {
  return {
    namespace: "ns",
    name: "web",
    uid: "uid-web",
    type: "ClusterIP",
    clusterIps: [parseIp("172.30.0.1")],
    externalIps: [],
    loadBalancerIps: [],
    loadBalancerSourceRanges: [],
    ports: [{ name: "http", protocol: "TCP", port: 80, nodePort: 0 }],
    affinitySeconds: 0,
    internalTrafficPolicy: "Cluster",
    externalTrafficPolicy: "Cluster",
    healthCheckNodePort: 0,
    ...fields,
  };
}

/** An IPv4 slice of `ns/web` with TCP port `http` 8080 and no endpoints. */
export function slice(fields: Partial<EndpointSlice> = {}): EndpointSlice {
  return {
    namespace: "ns",
    name: "web-1",
    serviceName: "web",
    family: "IPv4",
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    endpoints: [],
    triggerTimeMs: 0,
    ...fields,
  };
}

/** A ready endpoint elsewhere. */
export function sliceEndpoint(ip: string, fields: Partial<SliceEndpoint> = {}): SliceEndpoint {
  return {
    ip: parseIp(ip),
    nodeName: "elsewhere",
    ready: true,
    serving: true,
    terminating: false,
    zoneHints: [],
    nodeHints: [],
    ...fields,
  };
}

/** The node "here" with one address of each family and no zone. */
export function nodeObject(fields: Partial<NodeObject> = {}): NodeObject {
  return {
    name: "here",
    addresses: [parseIp("192.168.0.2"), parseIp("fd00:77::2")],
    podCidrs: [],
    zone: "",
    deleting: false,
    taints: [],
    ...fields,
  };
}

/** How the node "here" plans IPv4 for a cluster of that address plan. */
export function plannerOptions(fields: Partial<PlannerOptions> = {}): PlannerOptions {
  return {
    family: "IPv4",
    nodeName: "here",
    detectLocal: { kind: "ClusterCIDR" },
    clusterCidrs: [parseCidr("10.0.0.0/8")],
    nodePortAddresses: [],
    allowExternalIps: true,
    nodeHints: true,
    ...fields,
  };
}

/** What {@linkcode snapshot} is made of. */
export interface SnapshotParts {
  readonly services?: readonly Service[];
  readonly slices?: readonly EndpointSlice[];
  readonly node?: NodeObject | undefined;
  readonly serviceCidrs?: readonly ServiceCidr[];
}

/** A snapshot of these objects, slices grouped by their Service. */
export function snapshot(parts: SnapshotParts): Snapshot {
  const slicesByService = new Map<NamespacedName, EndpointSlice[]>();
  for (const each of parts.slices ?? []) {
    const key: NamespacedName = `${each.namespace}/${each.serviceName}`;
    slicesByService.set(key, [...(slicesByService.get(key) ?? []), each]);
  }
  const services = (parts.services ?? []).map((each) =>
    [`${each.namespace}/${each.name}`, each] as const
  );
  return {
    services: new Map<NamespacedName, Service>(services),
    slicesByService,
    node: parts.node,
    serviceCidrs: new Map((parts.serviceCidrs ?? []).map((each) => [each.name, each])),
  };
}
