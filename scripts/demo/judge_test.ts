import { deepStrictEqual } from "node:assert/strict";
import type { Check, Expectation } from "./checks.ts";
import { judge } from "./judge.ts";

function check(expects: Expectation, fields: Partial<Check> = {}): Check {
  const base = { title: "t", from: "outside", protocol: "http", host: "h", port: 80 } as const;
  return { ...base, count: 20, expects, ...fields };
}

const PAIR: Expectation = { kind: "spread", pods: ["web-1", "web-2"] };
const SILENT: Expectation = { kind: "each", text: "silence" };
const HEALTH: Expectation = { kind: "text", pattern: /"localEndpoints":1/, shown: "1 endpoint" };

const ROWS: readonly (readonly [Check, Record<string, number>, string, string])[] = [
  [check(PAIR), { "web-2": 8, "web-1": 12 }, "w1:12 w2:8", ""],
  [check(PAIR), { "web-1": 20 }, "w1:20", "too few hits for web-2"],
  [check(PAIR), { "web-1": 19, refused: 1 }, "refused w1:19", "expected only web-1, web-2"],
  [
    check(PAIR, { count: 200 }),
    { "web-1": 180, "web-2": 20 },
    "w1:180 w2:20",
    "too few hits for web-2",
  ],
  [check({ kind: "one" }), { "web-3": 20 }, "w3:20, always", ""],
  [check({ kind: "one" }), { "web-3": 19, "web-1": 1 }, "w1:1 w3:19, always", "expected one pod"],
  [check({ kind: "one" }), { silence: 20 }, "dropped, always", "expected one pod"],
  [check(SILENT), { silence: 3 }, "dropped", ""],
  [check(SILENT), { refused: 3 }, "refused", "expected dropped"],
  [check(SILENT), {}, "", "expected dropped"],
  [check(HEALTH), { '{"localEndpoints":1}': 1 }, "1 endpoint", ""],
  [check(HEALTH), { refused: 1 }, "refused", "expected 1 endpoint"],
];

for (const [row, hits, seen, problem] of ROWS) {
  Deno.test(`judge() of ${row.expects.kind} and ${JSON.stringify(hits)}`, () => {
    deepStrictEqual(judge(row, { hits, clients: [] }), { isRight: problem === "", seen, problem });
  });
}

Deno.test("judge() wants the client address that is expected", () => {
  const row = check({ kind: "spread", pods: ["web-1"] }, { client: "198.51.100.10" });
  const hits = { "web-1": 20 };
  deepStrictEqual(judge(row, { hits, clients: ["198.51.100.10"] }).problem, "");
  deepStrictEqual(
    judge(row, { hits, clients: ["192.168.77.2"] }).problem,
    "pods should see 198.51.100.10, saw 192.168.77.2",
  );
});
