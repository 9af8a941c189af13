import { notStrictEqual, strictEqual } from "node:assert/strict";
import { parseCidr, parseIp } from "../../model/ip.ts";
import { MessageWriter } from "../netlink/writer.ts";
import { anonymousName, anonymousSet, significantName } from "./anonymous.ts";
import { fingerprintRule } from "./fingerprint.ts";
import type { Rule, Statement } from "./values.ts";

const TABLE = { family: "ip", name: "kube-proxy" } as const;

function fingerprint(statements: readonly Statement[], comment?: string): string {
  const rule: Rule = { statements, ...(comment !== undefined && { comment }) };
  return fingerprintRule(rule, { table: TABLE, writer: new MessageWriter() });
}

/** Bytecode as `nft --debug=netlink` shows it, one expression after the other. */
const FINGERPRINTS: readonly (readonly [readonly Statement[], string])[] = [
  [[{ kind: "drop" }], "immediate(0,0:)"],
  [[{ kind: "goto", chain: "x" }], "immediate(0,-4:x)"],
  [
    [{ kind: "address", side: "saddr", of: [parseCidr("10.0.0.0/8")] }],
    "payload(1,1,12,1) cmp(1,0,0a)",
  ],
  [
    [{ kind: "address", side: "daddr", not: true, of: [parseCidr("10.0.0.0/12")] }],
    "payload(1,1,16,4) bitwise(1,1,4,fff00000,00000000,0) cmp(1,1,0a000000)",
  ],
  [
    [{ kind: "vmap", key: ["daddr", "l4proto", "dport"], map: "service-ips" }],
    "payload(1,1,16,4) meta(9,16,0) payload(10,2,2,2) lookup(service-ips,1,0,0)",
  ],
  [
    [{ kind: "mark-any", bits: 0x4000 }],
    "meta(1,3,0) bitwise(1,1,4,00400000,00000000,0) cmp(1,1,00000000)",
  ],
  [
    [{ kind: "mark-set", op: "or", bits: 0x4000 }],
    "meta(1,3,0) bitwise(1,1,4,ffbfffff,00400000,0) meta(0,3,1)",
  ],
  [
    [{ kind: "dnat", target: { ip: parseIp("10.0.0.1"), port: 80 } }],
    "immediate(1,0a000001) immediate(2,0050) nat(1,2,1,2)",
  ],
  [[{ kind: "masquerade" }], "masq(16,0,0)"],
  [[{ kind: "reject" }], "reject(0,3)"],
  [[{ kind: "fib-type", side: "daddr", type: "local" }], "fib(1,3,2) cmp(1,0,02000000)"],
];

for (const [statements, want] of FINGERPRINTS) {
  Deno.test(`fingerprintRule() of ${statements[0]?.kind} is ${want.slice(0, 40)}`, () => {
    strictEqual(fingerprint(statements), want);
    strictEqual(fingerprint(statements, "remark"), `${want} "remark"`);
  });
}

Deno.test("fingerprintRule() tells anonymous sets apart by what is in them", () => {
  const pick = (...ports: readonly number[]): string =>
    fingerprint([{
      kind: "pick-dnat",
      targets: ports.map((port) => ({ ip: parseIp("10.0.0.1"), port })),
    }]);
  strictEqual(pick(80, 81), pick(80, 81));
  notStrictEqual(pick(80, 81), pick(81, 80));
  notStrictEqual(pick(80), pick(80, 80));
});

Deno.test("anonymousName() takes 15 bytes, whose first 9 tell the content", () => {
  const set = anonymousSet({ kind: "pick-chain", chains: ["a"] }, "ip");
  if (set === undefined) throw new TypeError("no set");
  const names = [0, 1, 63, 64, 2 ** 36 - 1].map((unique) => anonymousName(set, unique));
  strictEqual(new Set(names).size, names.length);
  for (const name of names) {
    strictEqual(name.length, 15);
    strictEqual(significantName(name), significantName(names[0] ?? ""));
  }
  strictEqual(significantName("__map12"), "__map12");
  strictEqual(significantName("service-ips"), "service-ips");
});
