/**
 * Whatever others do to the table, the next verification makes it as it should be, and the one after
 * that finds nothing to do. Both ways to the kernel, each in a namespace. Needs root, iproute2, nft and
 * libnl.
 *
 * @module
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { NftablesBackend } from "../../src/backend/nftables/backend.ts";
import { SILENT } from "../../src/log.ts";
import { IP_FAMILIES, type IpFamily, parseCidr, parseIp } from "../../src/model/ip.ts";
import { Planner, type PlannerOptions } from "../../src/model/planner.ts";
import { canonicalNftables } from "../conformance/canonical/nftables.ts";
import {
  nodeObject,
  plannerOptions,
  service,
  slice,
  sliceEndpoint,
  snapshot,
} from "../support/builders.ts";
import { Random } from "../support/random.ts";
import { NFT_HANDLES, openNftNamespace } from "./nft_namespace.ts";
import { RandomCluster } from "./random_cluster.ts";

const SEEDS = Deno.env.get("SEEDS")?.split(",").map(Number) ?? [1, 2];
const STEPS = 8;

const CONFIG = {
  masqueradeBit: 31,
  masqueradeAll: false,
  syncPeriodMs: 1,
  minSyncPeriodMs: undefined,
};

function plannerOf(family: IpFamily, options: Partial<PlannerOptions> = {}): Planner {
  return new Planner(plannerOptions({
    family,
    clusterCidrs: ["10.0.0.0/12", "fd00:20::/48"].map(parseCidr),
    nodePortAddresses: "primary",
    ...options,
  }));
}

/** Commands of an administrator who means no good; some of them may fail. */
function damages(table: string, { listing, random }: { listing: string; random: Random }) {
  const address = table.startsWith("ip6") ? "fd99::1" : "1.2.3.4";
  const chains = [...listing.matchAll(/^\tchain (\S+) \{/gm)].map(([, name = ""]) => name);
  const [chain, other] = [random.pick(chains), random.pick(chains)];
  const elements = [...listing.matchAll(/((?:\S+ \. )?(?:tcp|udp|sctp) \. \d+) .*: goto ext/g)];
  const key = random.pick(["nowhere", ...elements.map(([, text = ""]) => text)]);
  const map = key.split(" ").length > 3 ? "service-ips" : "service-nodeports";
  return [
    "flush ruleset",
    `delete table ${table}`,
    `flush chain ${table} ${chain}`,
    `flush chain ${table} ${chain}\nflush chain ${table} ${other}`,
    `add rule ${table} ${chain} counter accept`,
    `insert rule ${table} ${chain} goto reject-chain`,
    `add element ${table} service-ips { ${address} . tcp . 99 : drop }`,
    `add element ${table} cluster-ips { ${address} }`,
    `flush map ${table} service-ips`,
    `flush set ${table} cluster-ips`,
    `delete element ${table} ${map} { ${key} }`,
    `delete element ${table} ${map} { ${key} }\nadd element ${table} ${map} { ${key} : drop }`,
    `add chain ${table} service-ABCDEFGH-ns/x/tcp/y`,
    `add set ${table} affinity-ABCDEFGH-ns/x/tcp/y { type ipv4_addr ; timeout 3s ; }`,
  ];
}

/** The remark of an element is that of who wanted it first; a table made anew has those of today. */
function withoutRemarks(listed: string): string {
  return canonicalNftables(listed).replace(/^(\t{3}.*) comment "[^"]*" :/gm, "$1 :");
}

async function survive(
  seed: number,
  { family, open }: { family: IpFamily; open: (typeof NFT_HANDLES)[number][1] },
): Promise<void> {
  await using namespace = await openNftNamespace();
  const random = new Random(seed);
  const backend = new NftablesBackend({
    family,
    nft: open(namespace),
    config: CONFIG,
    log: SILENT,
  });
  const table = family === "IPv4" ? "ip kube-proxy" : "ip6 kube-proxy";
  const list = () => namespace.nft("list", "table", ...table.split(" "));
  const planner = plannerOf(family);
  const cluster = new RandomCluster(random, family);
  for (let step = 0; step < STEPS; step++) {
    cluster.mutate(1 + random.below(8));
    const plan = planner.plan(cluster.snapshot(), []);
    await backend.sync(plan);
    const before = await list();
    const script = random.pick(damages(table, { listing: before, random }));
    await namespace.load(`${script}\n`).catch(() => {});
    backend.distrust();
    deepStrictEqual((await backend.sync(plan)).quarantined, [], script);
    strictEqual(withoutRemarks(await list()), withoutRemarks(before), script);
    backend.distrust();
    strictEqual((await backend.sync(plan)).bytesWritten, 0, `twice: ${script}`);
  }
  backend.close();
}

for (const [kind, open] of NFT_HANDLES) {
  for (const family of IP_FAMILIES) {
    for (const seed of SEEDS) {
      Deno.test(`${kind} makes the table right again, ${family}, seed ${seed}`, () =>
        survive(seed, { family, open }));
    }
  }

  Deno.test(`${kind}: a rule of others keeps what it refers to, and nothing else`, async () => {
    await using namespace = await openNftNamespace();
    const backend = new NftablesBackend({
      family: "IPv4",
      nft: open(namespace),
      config: CONFIG,
      log: SILENT,
    });
    const planner = plannerOf("IPv4");
    const names = ["a", "b", "c"];
    const services = names.map((name, i) =>
      service({ name, clusterIps: [parseIp(`172.30.0.${i + 1}`)], affinitySeconds: 60 })
    );
    const slices = names.map((name) =>
      slice({ name: `${name}-1`, serviceName: name, endpoints: [sliceEndpoint("10.0.0.1")] })
    );
    const list = () => namespace.nft("list", "table", "ip", "kube-proxy");
    await backend.sync(planner.plan(snapshot({ node: nodeObject(), services, slices }), []));
    const table = await list();
    const set = /set (affinity-\S+ns\/a\/\S+)/.exec(table)?.[1] ?? "";
    const chain = /chain (service-\S+ns\/b\/\S+)/.exec(table)?.[1] ?? "";
    await namespace.load(`add chain ip kube-proxy others
add rule ip kube-proxy others ip saddr @${set} counter
add rule ip kube-proxy others goto ${chain}\n`);

    const empty = planner.plan(snapshot({ node: nodeObject() }), []);
    const { resyncAfterMs } = await backend.sync(empty);
    ok(resyncAfterMs !== undefined, "the chain is tried again");
    const left = await list();
    ok(!left.includes("172.30.0."), left);
    deepStrictEqual(left.match(/\S+\/\S+(?= \{)/g), [set, chain]);

    await namespace.load("delete chain ip kube-proxy others\n");
    backend.distrust();
    await backend.sync(empty);
    ok(!(await list()).includes("/tcp/"));
    backend.close();
  });

  Deno.test(`${kind}: a prefix as long as names can be is a name`, async () => {
    await using namespace = await openNftNamespace();
    const nft = open(namespace);
    const backend = new NftablesBackend({ family: "IPv4", nft, config: CONFIG, log: SILENT });
    for (const interfacePrefix of ["abcdefghijklmn", "abcdefghijklmno"]) {
      const detectLocal = { kind: "InterfaceNamePrefix", interfacePrefix } as const;
      const planner = plannerOf("IPv4", { detectLocal });
      await backend.sync(planner.plan(snapshot({ node: nodeObject() }), []));
      const text = await namespace.nft("list", "chain", "ip", "kube-proxy", "services");
      const listed = interfacePrefix.length === 14 ? "abcdefghijklmn\\*" : "abcdefghijklmno";
      match(text, new RegExp(`iifname != "${listed}"`));
    }
    backend.close();
  });
}
