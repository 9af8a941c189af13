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
import type { NftablesConfig } from "../../src/config/types.ts";
import type { Nft } from "../../src/kernel/nft/nft.ts";
import { NftTool } from "../../src/kernel/nft/tool.ts";
import { SILENT } from "../../src/log.ts";
import { IP_FAMILIES, type IpFamily, parseCidr, parseIp } from "../../src/model/ip.ts";
import type { Plan } from "../../src/model/plan.ts";
import { Planner, type PlannerOptions } from "../../src/model/planner.ts";
import { canonicalNftables } from "../conformance/canonical/nftables.ts";
import { Random } from "../support/random.ts";
import { type NftNamespace, openNftNamespace } from "./nft_namespace.ts";
import { RandomCluster } from "./random_cluster.ts";
import { plannerOptions } from "../support/builders.ts";

const SEEDS = Deno.env.get("SEEDS")?.split(",").map(Number) ?? [1, 2, 3, 4, 5, 6, 7, 8, 9];
const STEPS = 8;

/** Ways to recognise pods and node ports, so that every rule about them is written once. */
const NODES: readonly Setting[] = [
  { detectLocal: { kind: "ClusterCIDR" }, nodePortAddresses: "primary", masqueradeBit: 31 },
  {
    detectLocal: { kind: "BridgeInterface", interfaceName: "cni0" },
    nodePortAddresses: ["0.0.0.0/0", "::/0"].map(parseCidr),
    masqueradeBit: 14,
  },
  {
    detectLocal: { kind: "InterfaceNamePrefix", interfacePrefix: "lxc-" },
    nodePortAddresses: ["192.168.0.0/24", "127.0.0.0/8", "fd00:77::/64", "::1/128"].map(parseCidr),
    masqueradeBit: 0,
  },
  { detectLocal: { kind: "NodeCIDR" }, nodePortAddresses: [], masqueradeBit: 14 },
  { detectLocal: { kind: "NodeCIDR" }, masqueradeAll: true, nodePortAddresses: "primary" },
  { clusterCidrs: [], nodePortAddresses: ["203.0.113.0/24", "2001:db8::/32"].map(parseCidr) },
  { clusterCidrs: ["0.0.0.0/0", "::/0"].map(parseCidr) },
  { clusterCidrs: ["10.0.0.9/32", "fd00:20::9/128"].map(parseCidr), masqueradeBit: 30 },
  { clusterCidrs: ["10.0.0.0/9", "fd00:20::/33"].map(parseCidr) },
];

interface Setting
  extends Partial<Pick<PlannerOptions, "clusterCidrs" | "detectLocal" | "nodePortAddresses">> {
  readonly masqueradeBit?: number;
  readonly masqueradeAll?: boolean;
}

const HOST_ADDRESSES = ["127.0.0.1", "192.168.0.2", "192.168.0.3", "::1", "fd00:77::2"]
  .map((ip) => ({ interfaceName: "n0", ip: parseIp(ip) }));

interface Writer {
  readonly namespace: NftNamespace;
  readonly nft: Nft;
  backend: NftablesBackend;
}

function listingOf(plan: Plan, config: NftablesConfig): string {
  const context = contextOf(plan, { config, previous: undefined });
  const services = [...plan.services.values()].map((one) => renderService(one, context));
  return formatListing([renderStatic(context), ...services], context.family);
}

function configOf({ masqueradeBit = 14, masqueradeAll = false }: Setting): NftablesConfig {
  return { masqueradeBit, masqueradeAll, syncPeriodMs: 1, minSyncPeriodMs: undefined };
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
  const setting = NODES[seed % NODES.length] ?? {};
  const config = configOf(setting);
  const backendOf = (nft: Nft) => new NftablesBackend({ family, nft, config, log: SILENT });
  const handles = [
    { namespace: tool, nft: new NftTool({ run: tool.run }) },
    { namespace: netlink, nft: netlink.netlink() },
  ];
  const writers: Writer[] = handles.map((one) => ({ ...one, backend: backendOf(one.nft) }));
  const { masqueradeBit: _bit, masqueradeAll: _all, ...planning } = setting;
  const clusterCidrs = ["10.0.0.0/12", "fd00:20::/48"].map(parseCidr);
  const planner = new Planner(
    plannerOptions({ family, clusterCidrs, nodePortAddresses: "primary", ...planning }),
  );
  const cluster = new RandomCluster(random, family);
  for (let step = 0; step < STEPS; step++) {
    cluster.mutate(1 + random.below(10));
    const plan = planner.plan(cluster.snapshot(), HOST_ADDRESSES);
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
    const wish = canonicalNftables(listingOf(plan, config));
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
