/**
 * The objects of the cluster of topology.ts.
 *
 * @module
 */

import { ADDRESSES, type Family, NODE_OF, type Pod } from "./topology.ts";

/** Both nodes. */
export function nodes(): object[] {
  return ["here", "there"].map((name, index) => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "kubernetes.io/hostname": name } },
    spec: { podCIDR: `10.1.${index + 1}.0/24`, podCIDRs: [`10.1.${index + 1}.0/24`] },
    status: {
      addresses: [`192.168.0.${index + 2}`, `fd00:192::${index + 2}`].map((address) => ({
        type: "InternalIP",
        address,
      })),
    },
  }));
}

/** A Service `flows/NAME` with TCP 80 -> 8080 and UDP 53 -> 5353 and fields of its spec. */
export function service(name: string, spec: object): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "flows", name },
    spec: {
      ports: [
        { name: "web", port: 80, targetPort: 8080, protocol: "TCP" },
        { name: "dns", port: 53, targetPort: 5353, protocol: "UDP" },
      ],
      ...spec,
    },
  };
}

/** The slice of a family of `flows/NAME` with these pods. */
export function slice(
  name: string,
  { family, pods }: { readonly family: Family; readonly pods: readonly Pod[] },
): object {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      namespace: "flows",
      name: `${name}-${family.toLowerCase()}`,
      labels: { "kubernetes.io/service-name": name },
    },
    addressType: family,
    ports: [
      { name: "web", port: 8080, protocol: "TCP" },
      { name: "dns", port: 5353, protocol: "UDP" },
    ],
    endpoints: pods.map((pod) => ({
      addresses: [ADDRESSES[family].pods[pod]],
      conditions: { ready: true },
      nodeName: NODE_OF[pod],
    })),
  };
}
