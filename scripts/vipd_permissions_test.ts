import { deepStrictEqual } from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import { VIPD_PERMISSIONS } from "./vipd_permissions.ts";

Deno.test("VIPD_PERMISSIONS says the same as the set `vipd` in deno.json", () => {
  const { net, read, env, sys, run, ffi } = config.permissions.vipd;
  deepStrictEqual({ net, read, ffi, ignore: env.ignore }, {
    net: true,
    read: true,
    ffi: true,
    ignore: true,
  });
  deepStrictEqual(VIPD_PERMISSIONS, [
    "--no-prompt",
    "--allow-net",
    "--allow-read",
    `--allow-env=${env.allow.join(",")}`,
    "--ignore-env",
    `--allow-sys=${sys.join(",")}`,
    `--allow-run=${run.join(",")}`,
    "--allow-ffi",
  ]);
});
