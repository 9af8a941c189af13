/**
 * From one mode to another and back under traffic: the rules of the new mode stand before those of
 * the old one go, so nobody notices (CLI-31).
 *
 * Run by `deno run -A test/e2e/run.ts`.
 */

import { deepEqual, ok } from "node:assert/strict";
import { eventually } from "../support/vipd.ts";
import { type Cluster, MODE, openCluster } from "./cluster.ts";
import { service, slice } from "./objects.ts";
import { ADDRESSES } from "./topology.ts";

const TARGETS = [
  { client: "pod-a", host: ADDRESSES.IPv4.service(60), port: 80 },
  { client: "outside", host: ADDRESSES.IPv4.node, port: 30_060 },
] as const;

let cluster: Cluster;

Deno.test.beforeAll(async () => {
  if (MODE !== "iptables") return;
  // The address of node ports is not the same by default.
  cluster = await openCluster({ config: { nodePortAddresses: ["192.168.0.0/24"] } });
  cluster.server.apply(
    service("web", {
      type: "NodePort",
      clusterIP: ADDRESSES.IPv4.service(60),
      ports: [{ name: "web", port: 80, targetPort: 8080, nodePort: 30_060 }],
    }),
    slice("web", { family: "IPv4", pods: ["pod-b", "far-1"] }),
  );
  await eventually("it answers", async () => {
    return (await ask(0)).kind === "answer" || undefined;
  });
});

Deno.test.afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

function ask(index: 0 | 1): ReturnType<Cluster["probe"]> {
  const { client, host, port } = TARGETS[index];
  return cluster.probe(client, { protocol: "tcp", host, port, timeoutMs: 700 });
}

/** New connections, one after the other, until the work is done. Returns how each ended. */
async function askDuring(work: Promise<void>): Promise<Readonly<Record<string, number>>> {
  const kinds: Record<string, number> = {};
  let isDone = false;
  const stream = async (index: 0 | 1): Promise<void> => {
    while (!isDone) {
      const { kind } = await ask(index);
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    }
  };
  const streams = Promise.all([stream(0), stream(1)]);
  await work;
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // leftovers go meanwhile
  isDone = true;
  await streams;
  return kinds;
}

const WAYS = [["iptables", "nftables"], ["nftables", "iptables"]] as const;

for (const [from, to] of WAYS) {
  Deno.test({
    name: `from ${from} to ${to}: no new connection fails, and nothing is left`,
    ignore: MODE !== "iptables",
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const kinds = await askDuring(cluster.restart("SIGTERM", { config: { mode: to } }));
      deepEqual(Object.keys(kinds), ["answer"], JSON.stringify(kinds));
      ok((kinds["answer"] ?? 0) > 100, "traffic flowed");
      const left = await cluster.network.sh(
        "node",
        from === "iptables"
          ? "iptables-save | grep -E 'KUBE-(SVC|SEP|SERVICES)' || true"
          : "nft list tables | grep kube-proxy || true",
      );
      deepEqual(left, "");
    },
  });
}
