import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { ExecError } from "../exec/run.ts";
import { failedLines, LockBusyError, RestoreError, restoreFailure } from "./errors.ts";

// As said by iptables 1.8.9 of both variants.
const SAID = [
  ["iptables-restore: line 14 failed", [14]],
  ["iptables-nft-restore: line 3 failed: No chain/target/match by that name.", [3]],
  [
    "iptables-nft-restore v1.8.9 (nf_tables): \nline 3: RULE_APPEND failed (Invalid argument): rule in chain C",
    [3],
  ],
  [
    "iptables-restore v1.8.9 (legacy): Couldn't load match `foo':No such file or directory\n\n" +
    "Error occurred at line: 7\nTry `iptables-restore -h' or 'iptables-restore --help'",
    [7],
  ],
  ["line 5: A failed (x): rule in chain C\nline 9: B failed (y): rule in chain C", [5, 9]],
  ["something else", []],
] as const;

for (const [stderr, want] of SAID) {
  Deno.test(`failedLines() of ${JSON.stringify(stderr.slice(0, 40))}`, () =>
    deepStrictEqual(failedLines(stderr), want));
}

const INPUT = "*filter\nCOMMIT\n*nat\n:A - [0:0]\n-A A -j B\nCOMMIT\n";

function failure(fields: { code: number; stderr: string }): ExecError {
  return new ExecError("iptables-restore -w 5", { failure: "exit", ...fields });
}

Deno.test("restoreFailure() shows the table and the lines around", () => {
  const cause = failure({ code: 2, stderr: "iptables-restore: line 5 failed" });
  const error = restoreFailure(cause, INPUT);
  ok(error instanceof RestoreError);
  strictEqual(error.table, "nat");
  strictEqual(error.cause, cause);
  strictEqual(error.excerpt, "2: COMMIT\n3: *nat\n4: :A - [0:0]\n5: -A A -j B\n6: COMMIT\n7: ");
  strictEqual(
    error.message,
    'Cannot restore iptables table "nat": line 5 failed (iptables-restore: line 5 failed)',
  );
});

Deno.test("restoreFailure() tells a busy lock from other exits with status 4", () => {
  const busy = "Another app is currently holding the xtables lock. Stopped waiting after 5s.";
  ok(restoreFailure(failure({ code: 4, stderr: busy }), INPUT) instanceof LockBusyError);
  const refused = "line 5: RULE_APPEND failed (Invalid argument): rule in chain A";
  ok(restoreFailure(failure({ code: 4, stderr: refused }), INPUT) instanceof RestoreError);
});

Deno.test("restoreFailure() leaves a tool that hung or is missing as it is", () => {
  const hung = new ExecError("iptables-restore", { failure: "timeout" });
  strictEqual(restoreFailure(hung, INPUT), hung);
});
