/**
 * What every cluster has from the start: the ServiceCIDR `kubernetes`, the Service
 * `default/kubernetes` with the first address of the range, and the slice that points to the API
 * server itself.
 *
 * @module
 */

import { familyOf, formatAddress, parseAddress, parseRange } from "./addresses.ts";
import { secondsNow } from "./registry.ts";

const DEFAULT_RANGES = ["10.96.0.0/12", "fd00:10:96::/108"];

/** The objects, in the order in which they must be written. */
export function bootstrapObjects(
  url: string,
  ranges = DEFAULT_RANGES as readonly string[],
): object[] {
  const { hostname, port } = new URL(url);
  const first = parseRange(ranges[0] ?? "")?.first;
  const clusterIP = first && formatAddress({ ...first, value: first.value + 1n });
  const address = parseAddress(hostname.replace(/^\[|\]$/g, ""));
  // An EndpointSlice must not point to the loopback.
  const isReachable = address !== undefined && !/^(127\.|\[?::1)/.test(hostname);
  const labels = { component: "apiserver", provider: "kubernetes" };
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: "kubernetes",
      namespace: "default",
      labels: { "kubernetes.io/service-name": "kubernetes" },
    },
    addressType: address && familyOf(address),
    endpoints: [{ addresses: [address && formatAddress(address)], conditions: { ready: true } }],
    ports: [{ name: "https", port: Number(port), protocol: "TCP" }],
  };
  return [
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "ServiceCIDR",
      metadata: { name: "kubernetes" },
      spec: { cidrs: [...ranges] },
      status: {
        conditions: [{ type: "Ready", status: "True", lastTransitionTime: secondsNow() }],
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "kubernetes", namespace: "default", labels },
      spec: {
        clusterIP,
        ports: [{ name: "https", port: 443, targetPort: Number(port), protocol: "TCP" }],
      },
    },
    ...isReachable ? [slice] : [],
  ];
}
