/**
 * The plan: the backend-neutral wish for one IP family. It answers, once, every question that all
 * backends ask, so that no backend ever looks at a Service or a slice.
 *
 * @module
 */

import type { Cidr, IpAddress, IpFamily } from "./ip.ts";
import type { NamespacedName, Protocol } from "./objects.ts";

/** The name of one port of one Service. */
export interface ServicePortName {
  readonly namespace: string;
  readonly name: string;
  /** "" when unnamed. */
  readonly port: string;
  readonly protocol: Protocol;
  /** `ns/name`: the Service. */
  readonly service: NamespacedName;
  /** `ns/name:port`, or `ns/name` when the port has no name: what kube-proxy prints and hashes. */
  readonly text: string;
  /** `ns/name:port/TCP`: unique in a plan. */
  readonly key: string;
}

/** One port of a Service in one family. */
export interface ServicePort {
  readonly name: ServicePortName;
  readonly clusterIp: IpAddress;
  readonly port: number;
  /** 0: none. */
  readonly nodePort: number;
  readonly externalIps: readonly IpAddress[];
  readonly loadBalancerVips: readonly IpAddress[];
  /** Of this family. Empty: unrestricted. */
  readonly loadBalancerSourceRanges: readonly Cidr[];
  /** 0: no affinity. */
  readonly affinitySeconds: number;
  /** 0: none. Only for LoadBalancers with externalTrafficPolicy Local. */
  readonly healthCheckNodePort: number;
  /** Has a node port, a load-balancer VIP or an external IP. */
  readonly externallyAccessible: boolean;
}

/** One target of a ServicePort. */
export interface Endpoint {
  readonly ip: IpAddress;
  readonly port: number;
  /** `ip:port` or `[ip]:port`: the sort key and what kube-proxy hashes. */
  readonly text: string;
  /** On this node. */
  readonly isLocal: boolean;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
}

/** Which endpoints traffic may use. */
export type Scope = "cluster" | "local";

/**
 * What happens to internal, or to external, traffic.
 *
 * - `forward`: to the endpoints of `scope`.
 * - `drop`: the Service is served, but the policy is Local and no endpoint is here.
 * - `reject`: nobody serves it anywhere.
 */
export interface Verdict {
  readonly kind: "forward" | "drop" | "reject";
  /** The endpoints the traffic policy asks for, whatever the kind. */
  readonly scope: Scope;
}

/** Everything a backend needs to know of one ServicePort. */
export interface ServicePlan {
  readonly servicePort: ServicePort;
  /** All endpoints of any readiness, ordered by text. */
  readonly endpoints: readonly Endpoint[];
  /** Usable under policy Cluster; empty when no traffic of this ServicePort uses that policy. */
  readonly cluster: readonly Endpoint[];
  /** Usable under policy Local; empty when no traffic of this ServicePort uses that policy. */
  readonly local: readonly Endpoint[];
  /** The union of both, ordered by text: what packets may reach from this node. */
  readonly reachable: readonly Endpoint[];
  /** Traffic to the ClusterIP. */
  readonly internal: Verdict;
  /** Traffic to node port, external IPs and load-balancer VIPs. */
  readonly external: Verdict;
}

/** How traffic of pods of this node is recognised. */
export type LocalTraffic =
  | { readonly kind: "none" }
  | { readonly kind: "source"; readonly cidr: Cidr }
  | { readonly kind: "bridge"; readonly interfaceName: string }
  | { readonly kind: "prefix"; readonly interfacePrefix: string };

/** Where node ports answer. */
export type NodePortAddresses =
  | {
    /** Every local address (nodePortAddresses empty or containing a zero CIDR). */
    readonly kind: "all";
  }
  | {
    /** These addresses of this node, sorted; loopback ones included. */
    readonly kind: "some";
    readonly addresses: readonly IpAddress[];
  };

/** What is true of this node in one family. Replaced only when something in it changed. */
export interface NodeFacts {
  readonly name: string;
  /** 127.0.0.1 or ::1 when the Node has no address of this family. */
  readonly ip: IpAddress;
  readonly zone: string;
  readonly localTraffic: LocalTraffic;
  readonly nodePortAddresses: NodePortAddresses;
  /**
   * Addresses of this family on the interfaces of this node (not those of kube-ipvs0), sorted.
   * What node ports mean when they answer on all addresses and a mode must list them.
   */
  readonly hostAddresses: readonly IpAddress[];
}

/** Something a person should hear about; the shell logs it. */
export interface Note {
  readonly level: "info" | "warning";
  /** Constant text. */
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number>>;
}

/** The wish for one family. */
export interface Plan {
  readonly family: IpFamily;
  readonly node: NodeFacts;
  /** By {@linkcode ServicePortName.key}. Unchanged entries are the same objects as before. */
  readonly services: ReadonlyMap<string, ServicePlan>;
  /** ClusterIP ranges of this family, sorted. Same array when unchanged. */
  readonly serviceCidrs: readonly Cidr[];
  /** Endpoints of all services together: above 1000 iptables mode leaves out remarks. */
  readonly endpointCount: number;
  /** New since the previous plan of this planner. */
  readonly notes: readonly Note[];
}
