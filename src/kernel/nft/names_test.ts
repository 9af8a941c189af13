import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { checkedName, cutComment, isName, quotedComment, quotedInterface } from "./names.ts";

const NAMES = [
  ["services", true],
  ["service-ULMVA6XW-ns/svc/tcp/p80", true],
  ["endpoint-A__10.0.0.1/80", true],
  ["x".repeat(255), true],
  ["x".repeat(256), false],
  ["", false],
  ["1st", false],
  ["a b", false],
  ["a;b", false],
  ["a}b", false],
  ['a"b', false],
  ["a#b", false],
  ["a\nb", false],
  ["a\u0000b", false],
  ["é", false],
] as const;

for (const [name, want] of NAMES) {
  Deno.test(`isName(${JSON.stringify(name.slice(0, 20))}) is ${want}`, () => {
    strictEqual(isName(name), want);
    if (!want) throws(() => checkedName(name), RangeError);
  });
}

Deno.test("quotedComment() refuses what would end the string, and what is too long", () => {
  strictEqual(quotedComment("a; } # b é"), '"a; } # b é"');
  for (const text of ['a"b', "a\\b", "a\nb", "a\u0000", "x".repeat(129), "é".repeat(65)]) {
    throws(() => quotedComment(text), RangeError);
  }
});

Deno.test("quotedInterface() refuses wildcards, quotes and long names", () => {
  strictEqual(quotedInterface("cni0"), '"cni0"');
  for (const text of ["", "a*", 'a"', "interface-0123456"]) {
    throws(() => quotedInterface(text), RangeError);
  }
});

Deno.test("cutComment() cuts at 128 bytes and leaves characters whole", () => {
  strictEqual(cutComment("x".repeat(128)), "x".repeat(128));
  strictEqual(cutComment("x".repeat(129)), "x".repeat(128));
  strictEqual(cutComment(`${"x".repeat(127)}é`), "x".repeat(127));
  strictEqual(cutComment(`${"x".repeat(126)}é!`), `${"x".repeat(126)}é`);
  deepStrictEqual(cutComment("😀".repeat(40)), "😀".repeat(32));
});
