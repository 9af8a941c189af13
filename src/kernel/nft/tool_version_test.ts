import { ok, rejects, strictEqual } from "node:assert/strict";
import type { Run } from "../exec/run.ts";
import { checkTool, isOlder } from "./tool_version.ts";

function runOf(version: string): Run {
  return (_command, [first]) =>
    Promise.resolve({ stdout: first === "--version" ? version : "", stderr: "" });
}

Deno.test("checkTool() takes versions from 1.0.1 on", async () => {
  await checkTool(runOf("nftables v1.0.1 (Fearless Fosdick #3)\n"));
  await checkTool(runOf("nftables v1.1 (Commodore Bullmoose)\n"));
  for (const text of ["nftables v0.9.8 (E.D.S.)", "nftables v1.0.0 (x)", "something else", ""]) {
    await rejects(checkTool(runOf(text)), /version 1\.0\.1 or newer is needed/);
  }
});

Deno.test("isOlder() compares number by number", () => {
  ok(isOlder([5, 12, 99], [5, 13]));
  for (const version of [[5, 13], [6], [5, 13, 1]]) {
    strictEqual(String(isOlder(version, [5, 13])), "false");
  }
});
