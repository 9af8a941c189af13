/**
 * An nft that is missing, hangs, crashes or talks nonsense, and a table of our name that is somebody
 * else's: a clear error, and nothing is touched. Needs root, iproute2, nft and libnl.
 *
 * @module
 */

import { ok, rejects, strictEqual } from "node:assert/strict";
import { NftablesBackend } from "../../src/backend/nftables/backend.ts";
import { removeTables } from "../../src/backend/nftables/cleanup.ts";
import { SyncError } from "../../src/backend/contract.ts";
import { type Run, run } from "../../src/kernel/exec/run.ts";
import { isRefused, NftError } from "../../src/kernel/nft/nft.ts";
import { NftTool } from "../../src/kernel/nft/tool.ts";
import { checkTool } from "../../src/kernel/nft/tool_version.ts";
import type { TableName, Transaction } from "../../src/kernel/nft/values.ts";
import { SILENT } from "../../src/log.ts";
import { Planner } from "../../src/model/planner.ts";
import { nodeObject, plannerOptions, snapshot } from "../support/builders.ts";
import { NFT_HANDLES, openNftNamespace } from "./nft_namespace.ts";

const TABLE: TableName = { family: "ip", name: "kube-proxy" };
const TRANSACTION: Transaction = { table: TABLE, commands: [{ op: "delete-table" }] };

/** An nft that is a shell script. */
function scripted(script: string): Run {
  return (_command, _args, options) => run("sh", ["-c", script], { ...options, timeoutMs: 500 });
}

Deno.test("an nft that hangs is ended, and said to hang", async () => {
  const nft = new NftTool({ run: scripted("exec sleep 20") });
  for (const act of [() => nft.transact(TRANSACTION), () => nft.list(TABLE)]) {
    await rejects(act(), (error) =>
      error instanceof NftError && error.failure === "unavailable" &&
      /no answer in time/.test(error.message));
  }
});

Deno.test("an nft that crashes on a transaction has refused it", async () => {
  const nft = new NftTool({ run: scripted("kill -SEGV $$") });
  await rejects(nft.transact(TRANSACTION), isRefused);
});

Deno.test("an nft that lists nonsense is not believed", async () => {
  for (const text of ["", "not JSON", "{}", "[1]"]) {
    const nft = new NftTool({ run: scripted(`printf '%s' '${text}'`) });
    await rejects(
      nft.list(TABLE),
      (error) => error instanceof NftError && /Cannot read the output/.test(error.message),
    );
  }
});

Deno.test("a missing nft is named with the package that has it", async () => {
  const missing: Run = (_command, args, options) => run("nft-is-not-here", args, options);
  await rejects(checkTool(missing), /install the package nftables/);
  await rejects(new NftTool({ run: missing }).list(TABLE), /install the package nftables/);
});

Deno.test("without permission checkTool() says which is needed", async () => {
  const drop = ["--reuid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"];
  const powerless: Run = (command, args, options) =>
    run("setpriv", [...drop, command, ...args], options);
  await rejects(checkTool(powerless), /run as root or with CAP_NET_ADMIN/);
});

for (const [kind, open] of NFT_HANDLES) {
  Deno.test(`${kind}: a table of another program is left alone, by sync and by cleanup`, async () => {
    await using namespace = await openNftNamespace();
    await namespace.load(
      'add table ip kube-proxy { comment "mine" ; }\nadd chain ip kube-proxy mine\n',
    );
    const before = await namespace.nft("list", "ruleset");
    const nft = open(namespace);
    const config = {
      masqueradeBit: 14,
      masqueradeAll: false,
      syncPeriodMs: 1,
      minSyncPeriodMs: undefined,
    };
    const backend = new NftablesBackend({ family: "IPv4", nft, config, log: SILENT });
    const planner = new Planner(plannerOptions({
      nodePortAddresses: "primary",
    }));
    const plan = planner.plan(snapshot({ node: nodeObject() }), []);
    await rejects(
      backend.sync(plan),
      (error) => error instanceof SyncError && /another program made it/.test(error.message),
    );
    strictEqual((await removeTables(nft)).length, 0);
    strictEqual(await namespace.nft("list", "ruleset"), before);

    await namespace.nft("delete", "table", "ip", "kube-proxy");
    await backend.sync(plan);
    ok((await namespace.nft("list", "ruleset")).includes("chain services"));
    strictEqual((await removeTables(nft)).length, 0);
    strictEqual(await namespace.nft("list", "ruleset"), "");
    backend.close();
  });
}
