/**
 * The nft tool and our own netlink writer leave the same table behind, whatever happens: both follow
 * the same random cluster, each in a namespace of its own, and `nft list` cannot tell them apart. Both
 * find their own table right when they start again. Needs root, iproute2, nft and libnl.
 *
 * @module
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { NftablesBackend } from "../../src/backend/nftables/backend.ts";
import { contextOf } from "../../src/backend/nftables/context.ts";
import { formatListing } from "../../src/backend/nftables/listing.ts";
import { renderService } from "../../src/backend/nftables/render_service.ts";
import { renderStatic } from "../../src/backend/nftables/render_static.ts";
import type { Nft } from "../../src/kernel/nft/nft.ts";
import { NftTool } from "../../src/kernel/nft/tool.ts";
import { SILENT } from "../../src/log.ts";
import { IP_FAMILIES, type IpFamily, parseCidr } from "../../src/model/ip.ts";
import type { Plan } from "../../src/model/plan.ts";
import { Planner, type PlannerOptions } from "../../src/model/planner.ts";
import { canonicalNftables } from "../conformance/canonical/nftables.ts";
import { Random } from "../support/random.ts";
import { type NftNamespace, openNftNamespace } from "./nft_namespace.ts";
import { RandomCluster } from "./random_cluster.ts";
import { plannerOptions } from "../support/builders.ts";

const SEEDS = Deno.env.get("SEEDS")?.split(",").map(Number) ?? [1, 2, 3];
const STEPS = 8;

/** Ways to recognise pods and node ports, so that every rule about them is written once. */
const NODES: readonly Pick<PlannerOptions, "detectLocal" | "nodePortAddresses">[] = [
  { detectLocal: { kind: "ClusterCIDR" }, nodePortAddresses: "primary" },
  {
    detectLocal: { kind: "BridgeInterface", interfaceName: "cni0" },
    nodePortAddresses: ["0.0.0.0/0", "::/0"].map(parseCidr),
  },
  {
    detectLocal: { kind: "InterfaceNamePrefix", interfacePrefix: "lxc-" },
    nodePortAddresses: "primary",
  },
];

interface Writer {
  readonly namespace: NftNamespace;
  readonly nft: Nft;
  backend: NftablesBackend;
}

function listingOf(plan: Plan, masqueradeBit: number): string {
  const context = contextOf(plan, { config: configOf(masqueradeBit), previous: undefined });
  const services = [...plan.services.values()].map((one) => renderService(one, context));
  return formatListing([renderStatic(context), ...services], context.family);
}

function configOf(masqueradeBit: number) {
  return { masqueradeBit, masqueradeAll: false, syncPeriodMs: 1, minSyncPeriodMs: undefined };
}

async function listed({ namespace }: Writer, family: IpFamily): Promise<string> {
  const text = await namespace.nft("list", "table", family === "IPv4" ? "ip" : "ip6", "kube-proxy");
  return canonicalNftables(text);
}

/** Two services may claim the same element; the listing of all parts together knows no winner. */
function withoutElements(listing: string): string {
  return listing.replace(/^\t\telements = \{\n[^}]*\}\n/gm, "");
}

async function follow(seed: number, family: IpFamily): Promise<void> {
  await using tool = await openNftNamespace();
  await using netlink = await openNftNamespace();
  const random = new Random(seed);
  const node = NODES[seed % NODES.length];
  if (node === undefined) throw new TypeError("no node");
  const masqueradeBit = seed % 3 === 0 ? 31 : 14;
  const backendOf = (nft: Nft) =>
    new NftablesBackend({ family, nft, config: configOf(masqueradeBit), log: SILENT });
  const handles = [
    { namespace: tool, nft: new NftTool({ run: tool.run }) },
    { namespace: netlink, nft: netlink.netlink() },
  ];
  const writers: Writer[] = handles.map((one) => ({ ...one, backend: backendOf(one.nft) }));
  const clusterCidrs = ["10.0.0.0/12", "fd00:20::/48"].map(parseCidr);
  const planner = new Planner(plannerOptions({
    family,
    clusterCidrs,
    ...node,
  }));
  const cluster = new RandomCluster(random, family);
  for (let step = 0; step < STEPS; step++) {
    cluster.mutate(1 + random.below(10));
    const plan = planner.plan(cluster.snapshot(), []);
    const tables: string[] = [];
    for (const writer of writers) {
      const { quarantined } = await writer.backend.sync(plan);
      deepStrictEqual(quarantined, []);
      tables.push(await listed(writer, family));
      if (!random.chance(0.3)) continue;
      writer.backend = backendOf(writer.nft);
      const again = await writer.backend.sync(plan);
      strictEqual(again.bytesWritten, 0, `restart after step ${step}`);
    }
    strictEqual(tables[1], tables[0], `step ${step}`);
    const wish = canonicalNftables(listingOf(plan, masqueradeBit));
    strictEqual(withoutElements(tables[1] ?? ""), withoutElements(wish), `step ${step}`);
  }
  for (const { backend } of writers) backend.close();
}

for (const family of IP_FAMILIES) {
  for (const seed of SEEDS) {
    Deno.test(`both writers make the same table, ${family}, seed ${seed}`, () =>
      follow(seed, family));
  }
}
