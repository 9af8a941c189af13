/**
 * The small world of the demo:
 *
 *     outside: client 198.51.100.10 and .200, API server 192.168.77.1:6443, routes 203.0.113.0/24
 *        |
 *     lan0 192.168.77.0/24  fd00:77::/64
 *        |                        |
 *     node-a .2: vipd          node-b .3: pods web-3 10.244.2.21, web-4 10.244.2.22
 *        |
 *     web-1 10.244.1.11, web-2 10.244.1.12  fd00:10:244:1::/64, a link each
 *
 * Outside does not know cluster IPs: a packet to one that vipd does not catch is told so.
 *
 * @module
 */

import type { LinkEnd, Topology } from "../../test/support/netns.ts";

/** Starts the names of the demo's namespaces. */
export const TAG = "vipd-demo";

/** Namespaces with a process that serves or asks. */
export const PLACES = ["outside", "node-a", "web-1", "web-2", "node-b"] as const;

/** One of {@linkcode PLACES}. */
export type Place = (typeof PLACES)[number];

/** A pod: where it is, and its addresses. */
export interface Pod {
  readonly place: Place;
  readonly addresses: readonly [string, string];
}

/** The pods, by name. */
export const PODS: Readonly<Record<string, Pod>> = {
  "web-1": { place: "web-1", addresses: ["10.244.1.11", "fd00:10:244:1::11"] },
  "web-2": { place: "web-2", addresses: ["10.244.1.12", "fd00:10:244:1::12"] },
  "web-3": { place: "node-b", addresses: ["10.244.2.21", "fd00:10:244:2::21"] },
  "web-4": { place: "node-b", addresses: ["10.244.2.22", "fd00:10:244:2::22"] },
};

/** Where the API server listens. */
export const API_ADDRESS = "192.168.77.1";
/** An address of outside that the example load balancer lets in. */
export const ALLOWED_CLIENT = "198.51.100.10";
/** One that it does not. */
export const DENIED_CLIENT = "198.51.100.200";

/** The topology; without IPv6 when the kernel has none. */
export function demoTopology(hasIpv6: boolean): Topology {
  const usable = (texts: readonly string[]): readonly string[] =>
    texts.filter((text) => hasIpv6 || !text.includes(":"));
  const end = (link: LinkEnd): LinkEnd => ({ ...link, addresses: usable(link.addresses ?? []) });
  const routes = Object.entries(ROUTES).map(([place, list]) => [place, usable(list)] as const);
  const forwarding = {
    "ipv4/ip_forward": "1",
    ...(hasIpv6 && { "ipv6/conf/all/forwarding": "1" }),
  };
  return {
    tag: TAG,
    namespaces: PLACES,
    bridges: BRIDGES.map(end),
    links: LINKS.map(([a, b]) => [end(a), end(b)] as const),
    routes: Object.fromEntries(routes),
    sysctls: { outside: forwarding, "node-a": forwarding },
  };
}

/** The node's end of each pod's link: pods are routed one by one. */
const GATEWAY = ["10.244.1.1/32", "fd00:10:244:1::1/128", "fe80::1/64"];

const BRIDGES: readonly LinkEnd[] = [
  {
    in: "outside",
    device: "lan0",
    addresses: [
      `${API_ADDRESS}/24`,
      `${ALLOWED_CLIENT}/32`,
      `${DENIED_CLIENT}/32`,
      "fd00:77::1/64",
    ],
  },
];

const LINKS: readonly (readonly [LinkEnd, LinkEnd])[] = [
  [
    { in: "outside", device: "a0", bridge: "lan0" },
    // Who forwards IPv6 asks for neighbours from a link-local address.
    { in: "node-a", device: "eth0", addresses: ["192.168.77.2/24", "fd00:77::2/64", "fe80::2/64"] },
  ],
  [
    { in: "outside", device: "b0", bridge: "lan0" },
    {
      in: "node-b",
      device: "eth0",
      addresses: [
        ...["192.168.77.3/24", "10.244.2.21/32", "10.244.2.22/32"],
        ...["fd00:77::3/64", "fd00:10:244:2::21/128", "fd00:10:244:2::22/128"],
      ],
    },
  ],
  [
    { in: "node-a", device: "pod1", addresses: GATEWAY },
    { in: "web-1", device: "eth0", addresses: ["10.244.1.11/32", "fd00:10:244:1::11/128"] },
  ],
  [
    { in: "node-a", device: "pod2", addresses: GATEWAY },
    { in: "web-2", device: "eth0", addresses: ["10.244.1.12/32", "fd00:10:244:1::12/128"] },
  ],
];

const POD_ROUTES = [
  ...["10.244.1.1 dev eth0", "default via 10.244.1.1"],
  ...["fd00:10:244:1::1 dev eth0", "default via fd00:10:244:1::1"],
];

const ROUTES: Readonly<Record<string, readonly string[]>> = {
  "web-1": POD_ROUTES,
  "web-2": POD_ROUTES,
  "node-a": [
    ...["default via 192.168.77.1", "10.244.2.0/24 via 192.168.77.3"],
    ...["10.244.1.11 dev pod1", "10.244.1.12 dev pod2"],
    ...["default via fd00:77::1", "fd00:10:244:2::/64 via fd00:77::3"],
    ...["fd00:10:244:1::11 dev pod1", "fd00:10:244:1::12 dev pod2"],
  ],
  "node-b": [
    ...["default via 192.168.77.1", "10.244.1.0/24 via 192.168.77.2"],
    ...["default via fd00:77::1", "fd00:10:244:1::/64 via fd00:77::2"],
  ],
  outside: [
    ...["203.0.113.0/24 via 192.168.77.2 src 198.51.100.10", "unreachable 10.96.0.0/12"],
    ...["10.244.1.0/24 via 192.168.77.2", "10.244.2.0/24 via 192.168.77.3"],
    ...["unreachable fd00:10:96::/108", "fd00:10:244:1::/64 via fd00:77::2"],
  ],
};
