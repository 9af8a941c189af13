/**
 * The named sets and maps of kube-proxy's table (FACTS NFT-05), with their remarks.
 *
 * @module
 */

import type { DataType, NftFamily, NftMap, NftSet } from "../../kernel/nft/values.ts";

/** The comment by which the table is known. */
export const TABLE_COMMENT = "rules for kube-proxy";

/** Sets and maps that are always there. */
export interface Containers {
  readonly clusterIps: NftSet;
  readonly nodePortIps: NftSet;
  readonly hairpinConnections: NftSet;
  readonly firewallIps: NftMap;
  readonly noEndpointNodePorts: NftMap;
  readonly noEndpointServices: NftMap;
  readonly serviceIps: NftMap;
  readonly serviceNodePorts: NftMap;
}

/** One value per family, so that sets can be compared as objects. */
export const CONTAINERS: Readonly<Record<NftFamily, Containers>> = {
  ip: containers("ipv4_addr"),
  ip6: containers("ipv6_addr"),
};

function containers(address: DataType): Containers {
  const destination: readonly DataType[] = [address, "inet_proto", "inet_service"];
  const nodePort: readonly DataType[] = ["inet_proto", "inet_service"];
  return {
    clusterIps: {
      kind: "set",
      name: "cluster-ips",
      type: [address],
      comment: "Active ClusterIPs",
    },
    nodePortIps: {
      kind: "set",
      name: "nodeport-ips",
      type: [address],
      comment: "IPs that accept NodePort traffic",
    },
    hairpinConnections: {
      kind: "set",
      name: "hairpin-connections",
      type: [address, address, "inet_proto", "inet_service"],
      comment: "service hairpin connections",
    },
    firewallIps: {
      kind: "map",
      name: "firewall-ips",
      type: destination,
      comment: "destinations that are subject to LoadBalancerSourceRanges",
    },
    noEndpointNodePorts: {
      kind: "map",
      name: "no-endpoint-nodeports",
      type: nodePort,
      comment: "vmap to drop or reject packets to service nodeports with no endpoints",
    },
    noEndpointServices: {
      kind: "map",
      name: "no-endpoint-services",
      type: destination,
      comment: "vmap to drop or reject packets to services with no endpoints",
    },
    serviceIps: {
      kind: "map",
      name: "service-ips",
      type: destination,
      comment: "ClusterIP, ExternalIP and LoadBalancer IP traffic",
    },
    serviceNodePorts: {
      kind: "map",
      name: "service-nodeports",
      type: nodePort,
      comment: "NodePort traffic",
    },
  };
}
