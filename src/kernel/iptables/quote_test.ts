import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { commentMatch, cutToBytes, printable, quoteArgument } from "./quote.ts";

const QUOTED = [
  ["a plain word", "KUBE-SVC_1", "KUBE-SVC_1"],
  ["a name with a slash", "ns/web:http", '"ns/web:http"'],
  ["nothing", "", '""'],
  ["quotes", `a"b'c`, `"a\\"b\\'c"`],
  ["backslashes", "a\\b\\", '"a\\\\b\\\\"'],
  ["what looks like an option", "x -j DROP", '"x -j DROP"'],
  ["what a shell would run", "$(reboot) `id`", '"$(reboot) `id`"'],
  ["Unicode", "déjà/вю", '"déjà/вю"'],
] as const;

for (const [what, text, want] of QUOTED) {
  Deno.test(`quoteArgument() quotes ${what}`, () => strictEqual(quoteArgument(text), want));
}

Deno.test("printable() leaves no character that ends a line", () => {
  strictEqual(printable("a\nb\rc\td\u0000e\u007f"), "a?b?c?d?e?");
  strictEqual(printable("\ud800x"), "\ufffdx");
});

const CUT = [
  ["short text", "abc", 255, "abc"],
  ["exactly the limit", "é".repeat(4), 8, "éééé"],
  ["within a character of two bytes", "é".repeat(4), 7, "ééé"],
  ["within a character of four bytes", "a😀😀", 7, "a😀"],
] as const;

for (const [what, text, limit, want] of CUT) {
  Deno.test(`cutToBytes() of ${what}`, () => strictEqual(cutToBytes(text, limit), want));
}

Deno.test("commentMatch() keeps to the 255 bytes of the kernel before it escapes", () => {
  deepStrictEqual(
    commentMatch(`/${"'".repeat(300)}`),
    `-m comment --comment "/${"\\'".repeat(254)}"`,
  );
});
