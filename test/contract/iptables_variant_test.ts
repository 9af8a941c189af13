/**
 * The choice between the two kinds of iptables with the real tools, on a kernel that has both.
 * Needs root, iptables and nftables.
 *
 * @module
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { ExecError, type Run, run } from "../../src/kernel/exec/run.ts";
import { findVariant } from "../../src/kernel/iptables/find_variant.ts";
import { inNamespace } from "./inside.ts";

/** This host without the names that a distribution chooses: as in the image. */
const withoutPlain: Run = (command, args, options) => {
  if (!/^ip6?tables(-save|-restore)?$/.test(command)) return run(command, args, options);
  return Promise.reject(new ExecError(command, { failure: "not-found" }));
};

/** What is in the kernel, and what is chosen then; each row after the one before it is undone. */
const ROWS = [
  ["nothing", [], "nft", "both have as many rules"],
  [
    "the hint in nft",
    ["iptables-nft -t mangle -N KUBE-IPTABLES-HINT"],
    "nft",
    "the kubelet uses it",
  ],
  [
    "the canary in nft of IPv6, and rules in legacy",
    ["ip6tables-nft -t mangle -N KUBE-KUBELET-CANARY", "iptables-legacy -A INPUT -j ACCEPT"],
    "nft",
    "the kubelet uses it",
  ],
  [
    "the hint in legacy, and rules in nft",
    ["iptables-legacy -t mangle -N KUBE-IPTABLES-HINT", "iptables-nft -A INPUT -j ACCEPT"],
    "legacy",
    "the kubelet uses it",
  ],
  ["a rule in legacy", ["ip6tables-legacy -A INPUT -j ACCEPT"], "legacy", "it has more rules"],
  [
    "a rule in nft beside a table of nft's own",
    [
      "iptables-nft -A INPUT -j ACCEPT",
      "nft add table ip mangle",
      "nft add chain ip mangle own '{ type filter hook input priority 7; }'",
      "nft add rule ip mangle own meta mark 1 numgen inc mod 2 0 drop",
    ],
    "nft",
    "it has more rules",
  ],
] as const;

inNamespace(import.meta.url, () => {
  Deno.test("findVariant() leaves the kernel as it is, without tables", async () => {
    const before = await kernelTables();
    await findVariant(withoutPlain);
    strictEqual(before, "");
    strictEqual(await kernelTables(), before);
  });

  for (const [what, commands, variant, reason] of ROWS) {
    Deno.test(`findVariant() with ${what}`, async () => {
      try {
        for (const command of commands) await sh(command);
        deepStrictEqual((await findVariant(withoutPlain))?.choice, { variant, reason });
      } finally {
        await clear();
      }
    });
  }

  Deno.test("findVariant() has nothing to choose where a distribution chose", async () => {
    strictEqual(await findVariant(run), undefined);
  });
});

async function sh(command: string): Promise<string> {
  return (await run("sh", ["-ec", command])).stdout;
}

async function clear(): Promise<void> {
  await sh("nft flush ruleset");
  for (const tool of ["iptables-legacy", "ip6tables-legacy"]) {
    for (const table of ["mangle", "filter"]) {
      await sh(`${tool} -t ${table} -F; ${tool} -t ${table} -X`);
    }
  }
}

/** Tables of both kinds; the files are missing as long as legacy is not loaded. */
async function kernelTables(): Promise<string> {
  return await sh(
    "nft list ruleset; cat /proc/net/ip_tables_names /proc/net/ip6_tables_names || :",
  );
}
