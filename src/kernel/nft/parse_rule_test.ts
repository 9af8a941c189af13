import { strictEqual } from "node:assert/strict";
import { parseRule } from "./parse_rule.ts";
import { formatRule } from "./print.ts";

const DADDR = { payload: { protocol: "ip", field: "daddr" } };

/** What `nft -j list` says of a match, and the rule that it is. */
const MATCHES: readonly (readonly [object, string])[] = [
  [
    { op: "==", left: DADDR, right: { prefix: { addr: "172.30.0.0", len: 16 } } },
    "ip daddr 172.30.0.0/16",
  ],
  // What was told as { 172.30.0.0/16, 172.31.0.0/16 }
  [
    { op: "==", left: DADDR, right: { set: [{ prefix: { addr: "172.30.0.0", len: 15 } }] } },
    "ip daddr { 172.30.0.0/15 }",
  ],
  [
    { op: "!=", left: DADDR, right: { set: ["10.0.0.1", { range: ["10.0.1.0", "10.0.3.255"] }] } },
    "ip daddr != { 10.0.0.1, 10.0.1.0-10.0.3.255 }",
  ],
  [
    { op: "!=", left: { meta: { key: "mark" } }, right: { prefix: { addr: 0, len: 1 } } },
    "meta mark != 0x00000000/1",
  ],
];

for (const [match, want] of MATCHES) {
  Deno.test(`parseRule() reads ${want}`, () => {
    const rule = parseRule({ expr: [{ match }] });
    strictEqual(rule && formatRule(rule, { family: "ip", listed: true }), want);
  });
}
