/**
 * Names that are commands in nft's language: nothing of them is carried out, the service that has one
 * is left out, all others are programmed. Both ways to the kernel, in a namespace. Needs root,
 * iproute2, nft and libnl.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { NftablesBackend } from "../../src/backend/nftables/backend.ts";
import { SILENT } from "../../src/log.ts";
import { parseIp } from "../../src/model/ip.ts";
import type { Service } from "../../src/model/objects.ts";
import { Planner } from "../../src/model/planner.ts";
import {
  nodeObject,
  plannerOptions,
  service,
  slice,
  sliceEndpoint,
  snapshot,
} from "../support/builders.ts";
import { NFT_HANDLES, openNftNamespace } from "./nft_namespace.ts";

const EVIL = [
  "a}; flush ruleset; add chain ip kube-proxy b {",
  "a\nflush ruleset\n",
  'a"; flush ruleset; #',
  "a # comment",
  "a; delete table ip canary",
  "$(nft flush ruleset)",
  'a\\"; flush ruleset',
  "ünïcödé",
  'include "/etc/passwd"',
  "a\u0000b",
];

const CONFIG = {
  masqueradeBit: 14,
  masqueradeAll: false,
  syncPeriodMs: 1,
  minSyncPeriodMs: undefined,
};

function planOf(services: readonly Service[]) {
  const planner = new Planner(plannerOptions({
    nodePortAddresses: "primary",
  }));
  return planner.plan(
    snapshot({
      services,
      slices: services.map(({ name, namespace, ports }) =>
        slice({
          name: `${name}-1`,
          namespace,
          serviceName: name,
          ports: ports.map((port) => ({ ...port, port: 8080 })),
          // Every other service has no endpoint, so that its name becomes a comment.
          endpoints: name.length % 2 === 0 ? [] : [sliceEndpoint("10.0.0.1")],
        })
      ),
      node: nodeObject(),
    }),
    [],
  );
}

function evilServices(): readonly Service[] {
  const port = { name: "http", protocol: "TCP", port: 80, nodePort: 0 } as const;
  return EVIL.flatMap((text, i) => [
    service({ name: text, clusterIps: [parseIp(`172.30.1.${i}`)] }),
    service({ name: "x", namespace: text, clusterIps: [parseIp(`172.30.2.${i}`)] }),
    service({
      name: `port${i}`,
      clusterIps: [parseIp(`172.30.3.${i}`)],
      ports: [{ ...port, name: text }],
    }),
  ]);
}

for (const [kind, open] of NFT_HANDLES) {
  Deno.test(`${kind} leaves out services with names that nft cannot say`, async () => {
    await using namespace = await openNftNamespace();
    await namespace.load("add table ip canary\nadd chain ip canary alive\n");
    const nft = open(namespace);
    const backend = new NftablesBackend({ family: "IPv4", nft, config: CONFIG, log: SILENT });
    const good = service({ name: "good", clusterIps: [parseIp("172.30.0.1")] });
    const { quarantined } = await backend.sync(planOf([good, ...evilServices()]));
    strictEqual(quarantined.length, 3 * EVIL.length);
    const others = await namespace.nft("list", "tables");
    deepStrictEqual(others.trim().split("\n"), ["table ip canary", "table ip kube-proxy"]);
    ok((await namespace.nft("list", "table", "ip", "canary")).includes("chain alive"));
    const table = await namespace.nft("list", "table", "ip", "kube-proxy");
    deepStrictEqual(table.match(/172\.30\.\d+\.\d+ \. tcp/g), ["172.30.0.1 . tcp"]);
    backend.close();
  });

  Deno.test(`${kind} writes the longest names and cuts remarks at 128 bytes`, async () => {
    await using namespace = await openNftNamespace();
    const nft = open(namespace);
    const backend = new NftablesBackend({ family: "IPv4", nft, config: CONFIG, log: SILENT });
    const long = service({
      namespace: "n".repeat(63),
      name: `${"s".repeat(62)}`, // even: without endpoints
      ports: [{ name: "p".repeat(15), protocol: "TCP", port: 80, nodePort: 0 }],
    });
    const sticky = {
      ...long,
      name: `${long.name}s`,
      clusterIps: [parseIp("172.30.0.2")],
      affinitySeconds: 5,
    };
    const { quarantined } = await backend.sync(planOf([long, sticky]));
    deepStrictEqual(quarantined, []);
    const table = await namespace.nft("list", "table", "ip", "kube-proxy");
    const remark = /tcp \. 80 comment "([^"]*)" : goto reject-chain/.exec(table)?.[1] ?? "";
    strictEqual(remark, `${long.namespace}/${long.name}:${"p".repeat(15)}`.slice(0, 128));
    strictEqual((await backend.sync(planOf([long, sticky]))).bytesWritten, 0);
    backend.close();
  });
}
