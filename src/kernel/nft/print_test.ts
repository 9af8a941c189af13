import { strictEqual, throws } from "node:assert/strict";
import { parseCidr, parseIp } from "../../model/ip.ts";
import { formatCommand, formatRule, formatTransaction } from "./print.ts";
import type { Command, Statement } from "./values.ts";

const TABLE = { family: "ip6", name: "kube-proxy" } as const;
const SET = { kind: "set", name: "cluster-ips", type: ["ipv6_addr"], comment: "IPs" } as const;
const MAP = {
  kind: "map",
  name: "service-ips",
  type: ["ipv6_addr", "inet_proto", "inet_service"],
} as const;

const COMMANDS: readonly (readonly [Command, string])[] = [
  [{ op: "add-table", comment: "ours" }, 'add table ip6 kube-proxy { comment "ours" ; }'],
  [{ op: "delete-table" }, "delete table ip6 kube-proxy"],
  [{ op: "add-chain", chain: { name: "a/b" } }, "add chain ip6 kube-proxy a/b"],
  [
    {
      op: "add-chain",
      chain: { name: "x", base: { type: "nat", hook: "output", priority: -100 }, comment: "c" },
    },
    'add chain ip6 kube-proxy x { type nat hook output priority -100 ; comment "c" ; }',
  ],
  [{ op: "flush-chain", chain: "x" }, "flush chain ip6 kube-proxy x"],
  [{ op: "delete-chain", chain: "x" }, "delete chain ip6 kube-proxy x"],
  [
    { op: "add-set", set: SET },
    'add set ip6 kube-proxy cluster-ips { type ipv6_addr ; comment "IPs" ; }',
  ],
  [
    { op: "add-set", set: { kind: "set", name: "a", type: ["ipv6_addr"], timeoutSeconds: 60 } },
    "add set ip6 kube-proxy a { type ipv6_addr ; flags dynamic,timeout ; timeout 60s ; }",
  ],
  [
    { op: "add-set", set: MAP },
    "add map ip6 kube-proxy service-ips { type ipv6_addr . inet_proto . inet_service : verdict ; }",
  ],
  [{ op: "delete-set", set: MAP }, "delete map ip6 kube-proxy service-ips"],
  [
    {
      op: "add-element",
      set: MAP,
      element: {
        key: ["fd00::1", "tcp", "80"],
        verdict: { kind: "goto", chain: "x" },
        comment: "n",
      },
    },
    'add element ip6 kube-proxy service-ips { fd00::1 . tcp . 80 comment "n" : goto x }',
  ],
  [
    { op: "delete-element", set: MAP, element: { key: ["fd00::1", "tcp", "80"] } },
    "delete element ip6 kube-proxy service-ips { fd00::1 . tcp . 80 }",
  ],
];

for (const [command, want] of COMMANDS) {
  Deno.test(`formatCommand() says ${want.slice(0, 50)}`, () => {
    strictEqual(formatCommand(command, TABLE), want);
    strictEqual(formatTransaction({ table: TABLE, commands: [command] }), `${want}\n`);
  });
}

const TARGETS = [{ ip: parseIp("fd00::1"), port: 80 }, { ip: parseIp("fd00::2"), port: 81 }];
const [TARGET] = TARGETS;

/** Statement, as told, as listed. */
const STATEMENTS: readonly (readonly [Statement, string, string?])[] = [
  [
    { kind: "address", side: "saddr", of: [parseCidr("fd00::1/128")] },
    "ip6 saddr fd00::1/128",
    "ip6 saddr fd00::1",
  ],
  [
    { kind: "address", side: "daddr", not: true, of: ["fd01::/64", "fd00::/64"].map(parseCidr) },
    "ip6 daddr != { fd01::/64, fd00::/64 }",
    "ip6 daddr != { fd00::/64, fd01::/64 }",
  ],
  [
    { kind: "in-set", key: ["saddr", "daddr", "l4proto", "dport"], set: "s" },
    "ip6 saddr . ip6 daddr . meta l4proto . th dport @s",
  ],
  [{ kind: "iifname", name: "lxc-", prefix: true }, 'iifname "lxc-*"'],
  [{ kind: "iifname", name: "cni0", not: true }, 'iifname != "cni0"'],
  [{ kind: "mark-any", bits: 0x4000 }, "meta mark & 0x00004000 != 0x00000000"],
  [
    { kind: "mark-any", bits: 0x80000000 },
    "meta mark & 0x80000000 != 0x00000000",
    "meta mark != 0x00000000/1",
  ],
  [{ kind: "mark-set", op: "xor", bits: 1 }, "meta mark set meta mark ^ 0x00000001"],
  [
    { kind: "pick-chain", chains: ["a", "b"] },
    "numgen random mod 2 vmap { 0 : goto a, 1 : goto b }",
  ],
  [
    { kind: "pick-dnat", targets: TARGETS },
    "dnat ip6 addr . port to numgen random mod 2 map { 0 : fd00::1 . 80, 1 : fd00::2 . 81 }",
    "dnat ip6 to numgen random mod 2 map { 0 : fd00::1 . 80, 1 : fd00::2 . 81 }",
  ],
  ...(TARGET === undefined ? [] : [
    [{ kind: "dnat", target: TARGET }, "dnat to [fd00::1]:80"] as const,
  ]),
  [{ kind: "update", set: "s", key: "saddr" }, "update @s { ip6 saddr }"],
];

for (const [statement, told, listed = told] of STATEMENTS) {
  Deno.test(`formatRule() says ${told.slice(0, 50)}`, () => {
    const rule = { statements: [statement, { kind: "drop" }], comment: "r" } as const;
    strictEqual(formatRule(rule, { family: "ip6", listed: false }), `${told} drop comment "r"`);
    strictEqual(formatRule(rule, { family: "ip6", listed: true }), `${listed} drop comment "r"`);
  });
}

Deno.test("formatCommand() refuses keys that are more than a key", () => {
  const key = ["fd00::1 } ; flush ruleset", "tcp", "80"];
  throws(
    () => formatCommand({ op: "add-element", set: MAP, element: { key } }, TABLE),
    RangeError,
  );
});
