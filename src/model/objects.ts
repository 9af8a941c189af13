/**
 * The fields vipd reads of the four kinds of object it watches, decoded and checked at the door
 * (src/kube/decode.ts). Everything here is immutable: an unchanged object is the same object.
 *
 * Whole API objects are never kept: managedFields and annotations would be most of the memory.
 *
 * @module
 */

import type { Cidr, IpAddress, IpFamily } from "./ip.ts";

/** Transport protocols of a Service port. */
export type Protocol = "TCP" | "UDP" | "SCTP";

/** `Cluster`: endpoints anywhere. `Local`: endpoints on this node only. */
export type TrafficPolicy = "Cluster" | "Local";

/** One entry of Service.spec.ports. */
export interface ServicePortSpec {
  /** "" when unnamed. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** 0: none. */
  readonly nodePort: number;
}

/** A Service, as far as a node cares. ExternalName and headless ones are never decoded. */
export interface Service {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly type: "ClusterIP" | "NodePort" | "LoadBalancer";
  /** At most one of each family. */
  readonly clusterIps: readonly IpAddress[];
  readonly externalIps: readonly IpAddress[];
  /** status.loadBalancer.ingress with an IP and ipMode unset or VIP. */
  readonly loadBalancerIps: readonly IpAddress[];
  /** Both families, as written; a range of length zero is kept. */
  readonly loadBalancerSourceRanges: readonly Cidr[];
  readonly ports: readonly ServicePortSpec[];
  /** Seconds of sessionAffinity ClientIP; 0: no affinity. */
  readonly affinitySeconds: number;
  readonly internalTrafficPolicy: TrafficPolicy;
  readonly externalTrafficPolicy: TrafficPolicy;
  /** 0: none. */
  readonly healthCheckNodePort: number;
}

/** A named port of an EndpointSlice. Entries without a port number are not decoded. */
export interface SlicePort {
  /** "" when unnamed. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}

/** One endpoint of a slice: its first address and its conditions with API defaults applied. */
export interface SliceEndpoint {
  readonly ip: IpAddress;
  /** "" when unknown. */
  readonly nodeName: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
}

/** An EndpointSlice of a known family that names its Service. */
export interface EndpointSlice {
  readonly namespace: string;
  readonly name: string;
  /** Label kubernetes.io/service-name. */
  readonly serviceName: string;
  readonly family: IpFamily;
  readonly ports: readonly SlicePort[];
  readonly endpoints: readonly SliceEndpoint[];
  /** Annotation endpoints.kubernetes.io/last-change-trigger-time, ms since 1970; 0: none. */
  readonly triggerTimeMs: number;
}

/** The Node vipd runs on. */
export interface NodeObject {
  readonly name: string;
  /** InternalIP addresses first, then ExternalIP. */
  readonly addresses: readonly IpAddress[];
  readonly podCidrs: readonly Cidr[];
  /** Label topology.kubernetes.io/zone; "" when unset. */
  readonly zone: string;
  /** metadata.deletionTimestamp is set. */
  readonly deleting: boolean;
  /** Keys of spec.taints. */
  readonly taints: readonly string[];
}

/** A ServiceCIDR: the ranges ClusterIPs are allocated from. */
export interface ServiceCidr {
  readonly name: string;
  readonly cidrs: readonly Cidr[];
}

/** An address of an interface of this node, as read from the kernel. */
export interface HostAddress {
  readonly interfaceName: string;
  readonly ip: IpAddress;
}

/** `namespace/name`, the key of every map of namespaced objects. */
export type NamespacedName = `${string}/${string}`;

/**
 * The objects as last seen. A live, read-only view of the store: planning is synchronous, so it is
 * read in one breath. Values are replaced, never changed.
 */
export interface Snapshot {
  readonly services: ReadonlyMap<NamespacedName, Service>;
  /** Slices of each Service, both families; the array is replaced when one of them changes. */
  readonly slicesByService: ReadonlyMap<NamespacedName, readonly EndpointSlice[]>;
  /** This node; undefined until seen. The last one seen stays when it is deleted. */
  readonly node: NodeObject | undefined;
  readonly serviceCidrs: ReadonlyMap<string, ServiceCidr>;
}
