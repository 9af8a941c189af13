/**
 * What the demo shows: who asks what, and what must come of it.
 *
 * @module
 */

import type { ProxyMode } from "../../src/config/types.ts";
import { ALLOWED_CLIENT, DENIED_CLIENT, type Place } from "./topology.ts";

/** What must be seen. */
export type Expectation =
  /** All answered; each of these pods about equally often, no other. */
  | { readonly kind: "spread"; readonly pods: readonly string[] }
  /** All answered, by one pod. */
  | { readonly kind: "one" }
  /** Every time this instead of an answer: dropped is `silence`. */
  | { readonly kind: "each"; readonly text: "refused" | "silence" }
  /** The text that answers matches. */
  | { readonly kind: "text"; readonly pattern: RegExp; readonly shown: string };

/** One line of the table. */
export interface Check {
  readonly title: string;
  readonly from: Place;
  readonly protocol: "http" | "udp";
  readonly host: string;
  readonly port: number;
  readonly path?: string;
  readonly count: number;
  /** Source address. */
  readonly source?: string;
  readonly expects: Expectation;
  /** The client as pods must see it. */
  readonly client?: string;
  readonly needsIpv6?: boolean;
}

const ALL = ["web-1", "web-2", "web-3", "web-4"];
const NODE = "192.168.77.2";
// With so many, a pod of four is left out by chance once in 250,000 times.
const SPREAD_COUNT = 48;
const STICKY_COUNT = 20;
const BLOCKED_COUNT = 3;

function spread(...pods: string[]): Expectation {
  return { kind: "spread", pods };
}

/** The table for a mode. On a slow kernel each check asks less often. */
export function checksFor(
  { mode, isSlow }: { readonly mode: ProxyMode; readonly isSlow: boolean },
): readonly Check[] {
  const checks = [
    ...[...CLUSTER_IP, ...NODE_PORT, ...LOAD_BALANCER, ...AFFINITY],
    ...[...localPolicy(mode), ...EMPTY, MANY],
  ];
  return isSlow ? checks.map((check) => ({ ...check, count: slowCount(check.count) })) : checks;
}

function slowCount(count: number): number {
  return Math.ceil(count / 4);
}

const WEB = { protocol: "http", host: "10.96.10.1", port: 80, count: SPREAD_COUNT } as const;
const DNS = { protocol: "udp", host: "10.96.10.2", port: 53, count: SPREAD_COUNT } as const;

const CLUSTER_IP: readonly Check[] = [
  { title: "ClusterIP TCP", from: "web-1", ...WEB, expects: spread("web-1", "web-2", "web-3") },
  { title: "ClusterIP TCP", from: "node-a", ...WEB, expects: spread("web-1", "web-2", "web-3") },
  {
    title: "ClusterIP TCP, IPv6",
    from: "web-1",
    ...WEB,
    host: "fd00:10:96::a01",
    expects: spread("web-1", "web-2", "web-3"),
    needsIpv6: true,
  },
  { title: "ClusterIP UDP", from: "web-1", ...DNS, expects: spread("web-1", "web-4") },
  { title: "ClusterIP UDP", from: "node-a", ...DNS, expects: spread("web-1", "web-4") },
];

const FRONT = { protocol: "http", host: NODE, port: 30080, count: SPREAD_COUNT } as const;

const NODE_PORT: readonly Check[] = [
  { title: "NodePort TCP", from: "web-1", ...FRONT, expects: spread(...ALL) },
  { title: "NodePort TCP", from: "node-a", ...FRONT, expects: spread(...ALL) },
  { title: "NodePort TCP", from: "outside", ...FRONT, expects: spread(...ALL) },
  {
    title: "NodePort UDP",
    from: "outside",
    ...FRONT,
    protocol: "udp",
    port: 30053,
    expects: spread(...ALL),
  },
];

const STORE = { protocol: "http", host: "203.0.113.10", port: 80 } as const;

const LOAD_BALANCER: readonly Check[] = [
  {
    title: "LoadBalancer, in range",
    from: "outside",
    ...STORE,
    source: ALLOWED_CLIENT,
    count: SPREAD_COUNT,
    expects: spread("web-2", "web-3"),
  },
  {
    title: "LoadBalancer, not in it",
    from: "outside",
    ...STORE,
    source: DENIED_CLIENT,
    count: BLOCKED_COUNT,
    expects: { kind: "each", text: "silence" },
  },
];

const CART = { protocol: "http", count: STICKY_COUNT, expects: { kind: "one" } } as const;

const AFFINITY: readonly Check[] = [
  { title: "session affinity", from: "web-1", ...CART, host: "10.96.10.5", port: 80 },
  { title: "session affinity", from: "node-a", ...CART, host: "10.96.10.5", port: 80 },
  { title: "session affinity", from: "outside", ...CART, host: NODE, port: 30081 },
];

function localPolicy(mode: ProxyMode): readonly Check[] {
  const login = { protocol: "http", host: "203.0.113.11", port: 80, count: SPREAD_COUNT } as const;
  // ipvs knows no short cut for clients of the cluster.
  const everywhere = mode === "ipvs" ? spread("web-2") : spread("web-2", "web-3", "web-4");
  const title = "policy Local";
  return [
    { title, from: "outside", ...login, expects: spread("web-2"), client: ALLOWED_CLIENT },
    { title, from: "web-1", ...login, expects: everywhere },
    { title, from: "node-a", ...login, expects: everywhere },
    {
      title: "policy Local, none here",
      from: "outside",
      protocol: "http",
      host: NODE,
      port: 30083,
      count: BLOCKED_COUNT,
      // ipvs falls back to pods elsewhere, whose answers take another way and are not known.
      expects: { kind: "each", text: "silence" },
    },
    {
      title: "policy Local, health",
      from: "outside",
      protocol: "http",
      host: NODE,
      port: 30900,
      path: "/healthz",
      count: 1,
      expects: { kind: "text", pattern: /"localEndpoints":\s*1\b/, shown: "1 local endpoint" },
    },
  ];
}

const REFUSED = {
  title: "no endpoints",
  protocol: "http",
  count: 1, // the kernel limits how often it says so
  expects: { kind: "each", text: "refused" },
} as const;

const EMPTY: readonly Check[] = [
  { ...REFUSED, from: "web-1", host: "10.96.10.8", port: 80 },
  { ...REFUSED, from: "outside", host: NODE, port: 30084 },
];

/** How hits spread when there are many. */
const MANY: Check = {
  title: "spread over 4 pods",
  from: "web-2",
  protocol: "http",
  host: "10.96.10.3",
  port: 80,
  count: 200,
  expects: spread(...ALL),
};
