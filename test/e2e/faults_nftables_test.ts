/**
 * Damage to the tables of nftables mode: noticed and repaired within seconds, with either writer.
 *
 * Run by `deno run -A test/e2e/run.ts --mode nftables`.
 */

import { equal } from "node:assert/strict";
import { eventually } from "../support/vipd.ts";
import { type Cluster, MODE, openCluster } from "./cluster.ts";
import { service, slice } from "./objects.ts";
import { ADDRESSES, FAMILIES, type Family } from "./topology.ts";

let cluster: Cluster;

Deno.test.beforeAll(async () => {
  if (MODE !== "nftables") return;
  cluster = await openCluster();
  cluster.server.apply(
    service("web", {
      clusterIP: ADDRESSES.IPv4.service(50),
      clusterIPs: FAMILIES.map((family) => ADDRESSES[family].service(50)),
      ipFamilyPolicy: "RequireDualStack",
    }),
    ...FAMILIES.map((family) => slice("web", { family, pods: ["pod-b", "far-1"] })),
  );
});

Deno.test.afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

async function isServed(family: Family): Promise<boolean> {
  const host = ADDRESSES[family].service(50);
  const target = { protocol: "tcp", host, port: 80, timeoutMs: 300 } as const;
  return (await cluster.probe("pod-a", target)).kind === "answer";
}

async function bothAreServed(timeoutMs: number): Promise<void> {
  for (const family of FAMILIES) {
    await eventually(`${family} is served`, async () => await isServed(family) || undefined, {
      timeoutMs,
    });
  }
}

/** Names of what a table holds, without elements that come and go. */
async function outline(): Promise<string> {
  return await cluster.network.sh(
    "node",
    "for f in ip ip6; do nft list table $f kube-proxy | grep -E '^\\s(set|map|chain)|goto|jump'; done",
  );
}

const DAMAGES: readonly (readonly [string, string])[] = [
  ["nft flush ruleset", "nft flush ruleset"],
  ["nft delete table", "nft delete table ip kube-proxy; nft delete table ip6 kube-proxy"],
  ["nft flush table", "nft flush table ip kube-proxy; nft flush table ip6 kube-proxy"],
  [
    "all elements of a map deleted",
    "nft flush map ip kube-proxy service-ips; nft flush map ip6 kube-proxy service-ips",
  ],
  [
    "one element deleted",
    "nft delete element ip kube-proxy service-ips '{ 172.30.0.50 . tcp . 80 }'; " +
    "nft delete element ip6 kube-proxy service-ips '{ fd00:172:30::50 . tcp . 80 }'",
  ],
  [
    "the rules of one chain deleted",
    "for f in ip ip6; do nft list table $f kube-proxy | grep -o 'chain service-[^ ]*' |" +
    " while read _ c; do nft flush chain $f kube-proxy $c; done; done",
  ],
];

for (const writer of ["netlink", "nft"] as const) {
  Deno.test({
    name: `nftables: writer ${writer} serves both families`,
    ignore: MODE !== "nftables",
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await cluster.restart("SIGTERM", { config: { vipd: { nftables: { writer } } } });
      await bothAreServed(5_000);
    },
  });
  for (const [title, command] of DAMAGES) {
    Deno.test({
      name: `nftables: ${title}, writer ${writer}: repaired within 4 s`,
      ignore: MODE !== "nftables",
      sanitizeOps: false,
      sanitizeResources: false,
      async fn() {
        const before = await outline();
        await cluster.network.sh("node", command);
        await bothAreServed(4_000);
        await eventually("all is as before", async () => {
          return await outline() === before || undefined;
        }, { timeoutMs: 4_000 });
        equal(await cluster.health("/livez"), 200);
      },
    });
  }
}
