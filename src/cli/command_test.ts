import { strictEqual } from "node:assert/strict";
import { commandOf } from "./command.ts";

const ROWS = [
  ["--help", "tell"],
  ["-h", "tell"],
  ["--version", "tell"],
  ["--version=raw", "tell"],
  ["--version=v1.36.9", "proxy"],
  ["--no-such-flag", "tell"],
  ["--write-config-to=/tmp/x", "write-config"],
  ["install --check", "install"],
  ["uninstall", "install"],
  ["--proxy-mode=ipvs", "proxy"],
  ["", "proxy"],
] as const;
for (const [line, want] of ROWS) {
  Deno.test(`commandOf() is ${want} for "vipd ${line}"`, () => {
    strictEqual(commandOf(line.split(" ").filter((word) => word !== "")), want);
  });
}
