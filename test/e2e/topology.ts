/**
 * A small cluster for flow tests: its addresses and links.
 *
 *                      this process: client outside, API server :6443
 *                      203.0.113.2/24  fd00:203::2/64
 *                             | h0
 *                             | n1   203.0.113.1  fd00:203::1
 *     pod-a 10.1.1.11 ---- p1 |                             +-- remote: 192.168.0.3  fd00:192::3
 *       fd00:10:1:1::11     node: vipd, node "here"         |     and its pods, on the same device
 *                             192.168.0.2  fd00:192::2  n0 -+     10.1.2.21, 10.1.2.22
 *     pod-b 10.1.1.12 ---- p2                                     fd00:10:1:2::21, ::22
 *       fd00:10:1:1::12     gateway of pods 10.1.1.1, fd00:10:1:1::1
 *
 * Every device has a link-local address, or routers could not look for their neighbours.
 *
 * Services are 172.30.0.0/16 and fd00:172:30::/108; clients route them, the external addresses and
 * the node by the node. Every pod serves TCP 8080 and UDP 5353 and answers with its name.
 *
 * @module
 */

import { HERE, type Topology } from "../support/netns.ts";

/** The two families, as the tests name them. */
export const FAMILIES = ["IPv4", "IPv6"] as const;

/** One of {@linkcode FAMILIES}. */
export type Family = (typeof FAMILIES)[number];

/** Who asks. */
export type Client = "outside" | "node" | "pod-a" | "pod-b";

/** All addresses of the picture, by family. */
export const ADDRESSES = {
  IPv4: {
    node: "192.168.0.2",
    nodeOutside: "203.0.113.1",
    outside: "203.0.113.2",
    gateway: "10.1.1.1",
    loopback: "127.0.0.1",
    pods: {
      "pod-a": "10.1.1.11",
      "pod-b": "10.1.1.12",
      "far-1": "10.1.2.21",
      "far-2": "10.1.2.22",
    },
    service: (n: number) => `172.30.0.${n}`,
    external: (n: number) => `198.51.100.${n}`,
    clusterCidr: "10.1.0.0/16",
    outsideRange: "203.0.113.0/24",
    otherRange: "198.18.0.0/15",
  },
  IPv6: {
    node: "fd00:192::2",
    nodeOutside: "fd00:203::1",
    outside: "fd00:203::2",
    gateway: "fd00:10:1:1::1",
    loopback: "::1",
    pods: {
      "pod-a": "fd00:10:1:1::11",
      "pod-b": "fd00:10:1:1::12",
      "far-1": "fd00:10:1:2::21",
      "far-2": "fd00:10:1:2::22",
    },
    service: (n: number) => `fd00:172:30::${n}`,
    external: (n: number) => `2001:db8:198::${n}`,
    clusterCidr: "fd00:10:1::/48",
    outsideRange: "fd00:203::/64",
    otherRange: "2001:db8:18::/48",
  },
} as const;

/** Name of a pod. */
export type Pod = keyof typeof ADDRESSES.IPv4.pods;

/** On which node a pod is; vipd's is "here". */
export const NODE_OF: Readonly<Record<Pod, string>> = {
  "pod-a": "here",
  "pod-b": "here",
  "far-1": "there",
  "far-2": "there",
};

const FORWARDING = { "ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1" };

/**
 * Pods are routed one by one: on a bridge two pods would answer each other directly, past the
 * node that has to undo the translation.
 */
const GATEWAY = ["10.1.1.1/32", "fd00:10:1:1::1/128", "fe80::1/64"];

const POD_ROUTES = [
  ...["10.1.1.1 dev eth0", "default via 10.1.1.1"],
  ...["fd00:10:1:1::1 dev eth0", "default via fd00:10:1:1::1"],
];

/** The picture as namespaces and links. */
export const TOPOLOGY: Topology = {
  tag: "vfl",
  namespaces: ["node", "pod-a", "pod-b", "remote"],
  links: [
    [
      { in: HERE, device: "h0", addresses: ["203.0.113.2/24", "fd00:203::2/64", "fe80::2/64"] },
      { in: "node", device: "n1", addresses: ["203.0.113.1/24", "fd00:203::1/64", "fe80::1/64"] },
    ],
    [
      { in: "node", device: "n0", addresses: ["192.168.0.2/24", "fd00:192::2/64", "fe80::1/64"] },
      {
        in: "remote",
        device: "r0",
        addresses: [
          ...["192.168.0.3/24", "10.1.2.21/32", "10.1.2.22/32"],
          ...["fd00:192::3/64", "fd00:10:1:2::21/128", "fd00:10:1:2::22/128", "fe80::2/64"],
        ],
      },
    ],
    [
      { in: "node", device: "p1", addresses: GATEWAY },
      {
        in: "pod-a",
        device: "eth0",
        addresses: ["10.1.1.11/32", "fd00:10:1:1::11/128", "fe80::2/64"],
      },
    ],
    [
      { in: "node", device: "p2", addresses: GATEWAY },
      {
        in: "pod-b",
        device: "eth0",
        addresses: ["10.1.1.12/32", "fd00:10:1:1::12/128", "fe80::2/64"],
      },
    ],
  ],
  routes: {
    "pod-a": POD_ROUTES,
    "pod-b": POD_ROUTES,
    node: [
      ...["10.1.1.11 dev p1", "10.1.1.12 dev p2"],
      ...["fd00:10:1:1::11 dev p1", "fd00:10:1:1::12 dev p2"],
      ...["10.1.2.0/24 via 192.168.0.3", "default via 203.0.113.2"],
      ...["fd00:10:1:2::/64 via fd00:192::3", "default via fd00:203::2"],
    ],
    remote: ["default via 192.168.0.2", "default via fd00:192::2"],
    [HERE]: [
      ...["172.30.0.0/16", "198.51.100.0/24", "192.168.0.0/24", "10.1.0.0/16"].map((to) =>
        `${to} via 203.0.113.1`
      ),
      ...["fd00:172:30::/108", "2001:db8:198::/64", "fd00:192::/64", "fd00:10:1::/48"].map((to) =>
        `${to} via fd00:203::1`
      ),
    ],
  },
  sysctls: { node: FORWARDING },
};
