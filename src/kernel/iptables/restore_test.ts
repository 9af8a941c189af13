import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { formatRestore } from "./restore.ts";

const RESTORE = formatRestore([
  { table: "filter", edits: [{ kind: "append", chain: "F", rule: "-j DROP", owner: "a" }] },
  {
    table: "nat",
    edits: [
      { kind: "replace", chain: "A", rules: ["-j RETURN", ""], owner: "a" },
      { kind: "remove", chain: "B", owner: "b" },
      { kind: "delete", chain: "S", rule: "-j B", owner: "b" },
      { kind: "prepend", chain: "S", rule: "-j A" },
    ],
  },
]);

Deno.test("formatRestore() declares chains, changes rules, deletes chains", () => {
  strictEqual(
    RESTORE.text,
    `*filter
-A F -j DROP
COMMIT
*nat
:A - [0:0]
:B - [0:0]
-A A -j RETURN
-A A 
-D S -j B
-I S -j A
-X B
COMMIT
`,
  );
});

Deno.test("formatRestore() knows whose a line is", () => {
  const owners = Array.from({ length: 13 }, (_, i) => RESTORE.ownerOfLine(i));
  const [a, b, none] = ["a", "b", undefined];
  deepStrictEqual(owners, [none, none, a, none, none, a, b, a, a, b, none, b, none]);
  deepStrictEqual(RESTORE.owners, ["a", "b"]);
  deepStrictEqual([...RESTORE.commitLines], [3, 12]);
});

Deno.test("formatRestore() counts what it adds", () => {
  deepStrictEqual(RESTORE.rules, { filter: 1, nat: 3 });
  strictEqual(RESTORE.tables, 2);
  strictEqual(RESTORE.bytes, RESTORE.text.length);
});
