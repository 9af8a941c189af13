import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { formatJson, formatKlog, type LogEntry } from "./log_format.ts";

const ENTRY: LogEntry = {
  severity: "info",
  verbosity: 2,
  message: "Synced rules",
  fields: {},
  caller: "proxy/sync.ts:12",
  timeMs: new Date(2022, 10, 22, 17, 12, 26, 123).getTime(),
  pid: 4711,
};
const HEAD = "1122 17:12:26.123000    4711 sync.ts:12]";

const LINES: readonly (readonly [string, Partial<LogEntry>, string])[] = [
  ["no fields", {}, `I${HEAD} "Synced rules"`],
  [
    "values",
    { fields: { family: "IPv4", ms: 3, full: true, none: undefined } },
    `I${HEAD} "Synced rules" family="IPv4" ms=3 full=true`,
  ],
  ["a warning", { severity: "warning" }, `W${HEAD} "Synced rules"`],
  [
    "an error with its cause",
    { severity: "error", fields: { error: new Error("a", { cause: new Error("b") }) } },
    `E${HEAD} "Synced rules" err="a: b"`,
  ],
  ["lists", { fields: { names: ["a", "b"] } }, `I${HEAD} "Synced rules" names="[\\"a\\",\\"b\\"]"`],
  ["quotes", { fields: { name: 'a"b' } }, `I${HEAD} "Synced rules" name="a\\"b"`],
  ["lines", { fields: { input: "a\nb" } }, `I${HEAD} "Synced rules" input=<\n\ta\n\tb\n >`],
];

for (const [what, change, want] of LINES) {
  Deno.test(`formatKlog() with ${what}`, () => {
    strictEqual(formatKlog({ ...ENTRY, ...change }), want);
  });
}

Deno.test("formatJson() has the members of kube-proxy's lines", () => {
  const fields = { family: "IPv4", error: new Error("a") };
  deepStrictEqual(JSON.parse(formatJson({ ...ENTRY, fields })), {
    ts: ENTRY.timeMs,
    caller: "proxy/sync.ts:12",
    msg: "Synced rules",
    v: 2,
    family: "IPv4",
    err: "a",
  });
});

Deno.test("formatJson() of an error has no v", () => {
  const line = JSON.parse(formatJson({ ...ENTRY, severity: "error" }));
  ok(!("v" in line));
});
