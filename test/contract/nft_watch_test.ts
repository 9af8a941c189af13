/**
 * Damage from outside is heard of within 2 seconds and repaired by writing only what is missing; what
 * we write ourselves, and what happens in other tables, is no damage. Both ways to the kernel, in a
 * namespace. Needs root, iproute2, nft and libnl.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { NftablesBackend } from "../../src/backend/nftables/backend.ts";
import { run } from "../../src/kernel/exec/run.ts";
import type { Nft } from "../../src/kernel/nft/nft.ts";
import { NftTool } from "../../src/kernel/nft/tool.ts";
import { SILENT } from "../../src/log.ts";
import { parseCidr, parseIp } from "../../src/model/ip.ts";
import type { Plan } from "../../src/model/plan.ts";
import { Planner } from "../../src/model/planner.ts";
import {
  nodeObject,
  plannerOptions,
  service,
  slice,
  sliceEndpoint,
  snapshot,
} from "../support/builders.ts";
import { type NftNamespace, openNftNamespace } from "./nft_namespace.ts";

const HEARD_MS = 2_000;

/** `nft monitor` is a child that must live in the namespace too: its handle runs one there. */
class NamespacedTool extends NftTool {
  constructor(namespace: NftNamespace) {
    super({
      run: namespace.run,
      monitor: ["ip", "netns", "exec", namespace.name, "nft", "monitor"],
    });
  }
}

const HANDLES: readonly (readonly [string, (namespace: NftNamespace) => Nft])[] = [
  ["NftTool", (namespace) => new NamespacedTool(namespace)],
  ["NetlinkNft", (namespace) => namespace.netlink()],
];

function planner(): Planner {
  return new Planner(plannerOptions({
    nodePortAddresses: "primary",
  }));
}

function planOf(planner: Planner, endpoint: string): Plan {
  const names = ["web", "api"];
  return planner.plan(
    snapshot({
      services: names.map((name, i) =>
        service({ name, clusterIps: [parseIp(`172.30.0.${i + 1}`)] })
      ),
      slices: names.map((name) =>
        slice({ name: `${name}-1`, serviceName: name, endpoints: [sliceEndpoint(endpoint)] })
      ),
      node: nodeObject(),
      serviceCidrs: [{ name: "kubernetes", cidrs: [parseCidr("172.30.0.0/16")] }],
    }),
    [],
  );
}

interface Damage {
  readonly by: string;
  readonly script: string;
  /** At most so many bytes are written to repair it. */
  readonly maxBytes: number;
}

const DAMAGES: readonly Damage[] = [
  {
    by: "one deleted element",
    script: "nft delete element ip kube-proxy service-ips '{ 172.30.0.1 . tcp . 80 }'",
    maxBytes: 400,
  },
  {
    by: "one flushed chain",
    script: "nft flush chain ip kube-proxy masquerading",
    maxBytes: 1_200,
  },
  {
    by: "an added element",
    script: "nft add element ip kube-proxy cluster-ips '{ 172.30.0.77 }'",
    maxBytes: 300,
  },
  { by: "a deleted table", script: "nft delete table ip kube-proxy", maxBytes: 30_000 },
  { by: "nft flush ruleset", script: "nft flush ruleset", maxBytes: 30_000 },
];

/** A backend that is in sync, and what its watch says. */
async function withWatch(
  open: (namespace: NftNamespace) => Nft,
  act: (scene: {
    readonly namespace: NftNamespace;
    readonly backend: NftablesBackend;
    readonly planner: Planner;
    readonly heard: string[];
  }) => Promise<void>,
): Promise<void> {
  await using namespace = await openNftNamespace();
  const config = {
    masqueradeBit: 14,
    masqueradeAll: false,
    syncPeriodMs: 1,
    minSyncPeriodMs: undefined,
  };
  const nft = open(namespace);
  const backend = new NftablesBackend({ family: "IPv4", nft, config, log: SILENT });
  const abort = new AbortController();
  const heard: string[] = [];
  const watching = backend.watch((what) => heard.push(what), { signal: abort.signal });
  await sleep(500); // until `nft monitor` has subscribed
  try {
    await act({ namespace, backend, planner: planner(), heard });
  } finally {
    abort.abort();
    await watching;
    backend.close();
  }
}

async function until(condition: () => boolean, timeoutMs: number): Promise<void> {
  for (const end = Date.now() + timeoutMs; !condition() && Date.now() < end;) await sleep(20);
}

for (const [kind, open] of HANDLES) {
  Deno.test(`${kind} hears of nobody when only we write, or others to other tables`, () =>
    withWatch(open, async ({ namespace, backend, planner, heard }) => {
      for (let i = 0; i < 5; i++) {
        await backend.sync(planOf(planner, `10.0.0.${i}`));
        await sleep(100);
      }
      await namespace.nft("add", "table", "ip6", "kube-proxy");
      await namespace.nft("add", "table", "ip", "kube-proxy-of-others");
      await sleep(HEARD_MS);
      deepStrictEqual(heard, []);
    }));

  for (const { by, script, maxBytes } of DAMAGES) {
    Deno.test(`${kind} hears of ${by}, and it is repaired`, () =>
      withWatch(open, async ({ namespace, backend, planner, heard }) => {
        const plan = planOf(planner, "10.0.0.1");
        await backend.sync(plan);
        const before = await namespace.nft("list", "table", "ip", "kube-proxy");
        await sleep(1_100); // nothing of our own is left to be told
        await run("ip", ["netns", "exec", namespace.name, "sh", "-c", script]);
        await until(() => heard.length > 0, HEARD_MS);
        strictEqual(heard.length, 1, `heard ${JSON.stringify(heard)}`);
        ok(/nft/.test(heard[0] ?? ""), heard[0] ?? "nothing");
        backend.distrust();
        const { bytesWritten } = await backend.sync(plan);
        strictEqual(
          sorted(await namespace.nft("list", "table", "ip", "kube-proxy")),
          sorted(before),
        );
        ok(bytesWritten > 0 && bytesWritten <= maxBytes, `${bytesWritten} bytes`);
      }));
  }
}

/** Elements and chains may come back in another order. */
function sorted(listing: string): string {
  return listing.split(/[\n,{}]+/).map((line) => line.trim()).sort().join("\n");
}
