/**
 * A cluster in which anything may happen next: services and slices that come, change and go, with
 * every field that the rules of a mode depend on.
 *
 * @module
 */

import { type IpFamily, parseCidr, parseIp } from "../../src/model/ip.ts";
import type { EndpointSlice, Protocol, Service, Snapshot } from "../../src/model/objects.ts";
import { nodeObject, service, slice, sliceEndpoint, snapshot } from "../support/builders.ts";
import type { Random } from "../support/random.ts";

const PROTOCOLS: readonly Protocol[] = ["TCP", "UDP", "SCTP"];
const POLICIES = ["Cluster", "Local"] as const;

const PLAN = {
  IPv4: {
    service: (i: number) => `172.30.${i >> 8}.${i & 255}`,
    pod: (i: number) => `10.0.${i >> 8}.${i & 255}`,
    outside: (i: number) => `203.0.113.${i & 255}`,
    ranges: [
      "192.168.0.0/24",
      "198.51.100.7/32",
      "203.0.113.0/25",
      "203.0.113.128/25",
      "203.0.113.77/25",
      "203.0.113.100/32",
      "0.0.0.0/8",
      "128.0.0.0/1",
      "fd00::/8",
    ],
    cidrs: ["172.30.0.0/16", "172.31.0.0/16", "10.96.0.0/12", "10.100.0.0/16", "240.0.0.0/4"],
    other: "fd00:99::1",
  },
  IPv6: {
    service: (i: number) => `fd00:10::${(i + 1).toString(16)}`,
    pod: (i: number) => `fd00:20::${(i + 1).toString(16)}`,
    outside: (i: number) => `2001:db8::${(i + 1).toString(16)}`,
    ranges: [
      "fd00:77::/64",
      "2001:db8::7/128",
      "2001:db8::7/128",
      "2001:db8:1::/48",
      "fd00::/9",
      "8000::/1",
      "ff00::/8",
      "10.0.0.0/8",
    ],
    cidrs: ["fd00:10::/112", "fd00:11::/108", "fd00:12::/64"],
    other: "172.30.99.1",
  },
} as const;

/** Everything everywhere; the API does not forbid it. */
const ZERO = ["0.0.0.0/0", "::/0"];

/** Of every length, up to the greatest that the API takes. */
const NAMES = ["s", "s-0", "a", "service-with-the-longest-name-that-the-rules-for-names-permit-"];
const NAMESPACES = [
  "ns",
  "kube-system",
  "namespace-with-the-longest-name-that-the-rules-for-names-permit",
];
const PORT_NAMES = ["p0", "", "port-with-the-longest-name-that-the-rules-for-port-names-permit"];
const POD_CIDRS = ["10.0.0.0/27", "fd00:20::/123"].map(parseCidr);
const ZONES = ["", "zone-a"];

function nameOf(id: number): string {
  return `${NAMES[id % NAMES.length]}${id % 10}`;
}

function namespaceOf(id: number): string {
  return NAMESPACES[id % NAMESPACES.length] ?? "";
}

/** Services of one family under random change. */
export class RandomCluster {
  readonly #random: Random;
  readonly #family: IpFamily;
  readonly #services = new Map<number, Service>();
  readonly #slices = new Map<number, EndpointSlice>();
  #cidrs: readonly string[];
  #zone = "";

  constructor(random: Random, family: IpFamily) {
    this.#random = random;
    this.#family = family;
    this.#cidrs = PLAN[family].cidrs.slice(0, 1);
  }

  /** Lets a few things happen. */
  mutate(count: number): void {
    for (let i = 0; i < count; i++) {
      const id = this.#random.below(12);
      const dice = this.#random.fraction();
      if (dice < 0.15) this.#services.delete(id);
      else if (dice < 0.5) this.#services.set(id, this.#service(id));
      else if (dice < 0.6) this.#slices.delete(id);
      else if (dice < 0.65) {
        const { cidrs } = PLAN[this.#family];
        this.#cidrs = cidrs.filter(() => this.#random.chance(0.5));
      } else if (dice < 0.68) this.#zone = this.#random.pick(ZONES);
      else this.#slices.set(id, this.#slice(id));
    }
  }

  /** The objects as they are now. */
  snapshot(): Snapshot {
    return snapshot({
      services: [...this.#services.values()],
      slices: [...this.#slices.values()],
      node: nodeObject({ zone: this.#zone, podCidrs: POD_CIDRS }),
      serviceCidrs: [{ name: "kubernetes", cidrs: this.#cidrs.map(parseCidr) }],
    });
  }

  #service(id: number): Service {
    const random = this.#random;
    const { service: address, outside, ranges, other } = PLAN[this.#family];
    const type = random.pick(["ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer"] as const);
    const isBalanced = type === "LoadBalancer";
    const some = (part: number) => random.chance(part) ? [parseIp(outside(random.below(6)))] : [];
    const own = parseIp(address(random.chance(0.9) ? id : id + 20));
    const stranger = random.chance(0.05) ? [parseIp(address(random.below(12)))] : [];
    return service({
      name: nameOf(id),
      namespace: namespaceOf(id),
      type,
      // A family comes and goes.
      clusterIps: random.pick([[own], [own], [own, parseIp(other)], [parseIp(other), own], [
        parseIp(other),
      ]]),
      externalIps: [...some(0.3), ...stranger, ...(random.chance(0.05) ? [own] : [])],
      loadBalancerIps: isBalanced ? [parseIp(outside(100 + id)), ...some(0.2)] : [],
      loadBalancerSourceRanges: random.chance(0.4)
        ? [...ranges.filter(() => random.chance(0.4)), ...(random.chance(0.1) ? ZERO : [])]
          .map(parseCidr)
        : [],
      ports: PROTOCOLS.filter(() => random.chance(0.5)).map((protocol, i) => ({
        name: PORT_NAMES[i] ?? "",
        protocol,
        port: random.pick([80, 80, 65_535]),
        nodePort: type !== "ClusterIP" && random.chance(0.5) ? 30_000 + 3 * id + i : 0,
      })),
      affinitySeconds: random.chance(0.3) ? random.pick([1, 61, 10_800, 86_400]) : 0,
      internalTrafficPolicy: random.pick(POLICIES),
      externalTrafficPolicy: random.pick(POLICIES),
    });
  }

  #slice(id: number): EndpointSlice {
    const random = this.#random;
    const { pod } = PLAN[this.#family];
    const part = random.pick([0, 0, 1]);
    const hint = (name: string) => random.chance(part) ? [random.pick([name, "other"])] : [];
    const endpoints = Array.from(
      { length: random.below(5) },
      () =>
        sliceEndpoint(pod(random.below(40)), {
          nodeName: random.pick(["here", "elsewhere"]),
          ready: random.chance(0.8),
          serving: random.chance(0.9),
          terminating: random.chance(0.1),
          zoneHints: hint("zone-a"),
          nodeHints: hint("here"),
        }),
    );
    return slice({
      name: `${nameOf(id)}-1`,
      namespace: namespaceOf(id),
      serviceName: nameOf(id),
      family: this.#family,
      ports: PROTOCOLS.map((protocol, i) => ({
        name: PORT_NAMES[i] ?? "",
        protocol,
        port: 8080 + i,
      })),
      endpoints,
    });
  }
}
