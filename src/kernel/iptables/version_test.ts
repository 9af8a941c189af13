import { deepStrictEqual, ok, throws } from "node:assert/strict";
import { atLeast, parseVersion } from "./version.ts";

const VERSIONS = [
  ["iptables v1.8.9 (nf_tables)\n", [1, 8, 9], "nf_tables"],
  ["ip6tables v1.8.10 (legacy)\n", [1, 8, 10], "legacy"],
  ["iptables v1.4.21\n", [1, 4, 21], "legacy"],
] as const;

for (const [text, numbers, variant] of VERSIONS) {
  Deno.test(`parseVersion() reads ${text.trim()}`, () =>
    deepStrictEqual(parseVersion(text), { numbers, variant }));
}

Deno.test("parseVersion() refuses what names no version", () =>
  throws(() => parseVersion("hello"), SyntaxError));

Deno.test("atLeast() compares numbers, not text", () => {
  const version = parseVersion("iptables v1.8.10");
  ok(atLeast(version, [1, 8, 9]));
  ok(atLeast(version, [1, 8, 10]));
  ok(!atLeast(version, [1, 9, 0]));
});
