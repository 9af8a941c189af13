import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { FakeNft } from "../../kernel/nft/fake.ts";
import { formatCommand, formatElement } from "../../kernel/nft/print.ts";
import type { TableName } from "../../kernel/nft/values.ts";
import { SILENT } from "../../log.ts";
import { parseCidr, parseIp } from "../../model/ip.ts";
import type { EndpointSlice, Service } from "../../model/objects.ts";
import type { Plan } from "../../model/plan.ts";
import { Planner } from "../../model/planner.ts";
import {
  nodeObject,
  plannerOptions,
  service,
  slice,
  sliceEndpoint,
  snapshot,
} from "../../../test/support/builders.ts";
import { SyncError } from "../contract.ts";
import { NftablesBackend } from "./backend.ts";

const TABLE: TableName = { family: "ip", name: "kube-proxy" };
const CONFIG = {
  masqueradeBit: 14,
  masqueradeAll: false,
  syncPeriodMs: 30_000,
  minSyncPeriodMs: undefined,
};

interface World {
  readonly services: Service[];
  readonly slices: EndpointSlice[];
  serviceCidrs: string[];
}

/** Services `ns/name` with endpoints 10.0.x.1…; plans follow each other as in the daemon. */
class Stage {
  readonly nft = new FakeNft();
  readonly planner = new Planner(plannerOptions({
    nodePortAddresses: "primary",
  }));
  readonly world: World = { services: [], slices: [], serviceCidrs: ["172.30.0.0/16"] };
  backend = this.restarted();

  restarted(): NftablesBackend {
    return new NftablesBackend({ family: "IPv4", nft: this.nft, config: CONFIG, log: SILENT });
  }

  put(name: string, fields: Partial<Service> & { readonly endpoints?: readonly string[] }): void {
    const { endpoints = [], ...others } = fields;
    this.remove(name);
    this.world.services.push(service({ name, ...others }));
    this.world.slices.push(slice({
      name: `${name}-1`,
      serviceName: name,
      endpoints: endpoints.map((ip) => sliceEndpoint(ip)),
    }));
  }

  remove(name: string): void {
    const { services, slices } = this.world;
    const kept = services.filter((each) => each.name !== name);
    services.splice(0, services.length, ...kept);
    slices.splice(0, slices.length, ...slices.filter((each) => each.serviceName !== name));
  }

  plan(): Plan {
    const { services, slices, serviceCidrs } = this.world;
    const parts = {
      services,
      slices,
      node: nodeObject(),
      serviceCidrs: [{ name: "kubernetes", cidrs: serviceCidrs.map(parseCidr) }],
    };
    return this.planner.plan(snapshot(parts), []);
  }

  /** Syncs and returns the commands of each transaction. */
  async sync(): Promise<readonly (readonly string[])[]> {
    const before = this.nft.transactions.length;
    await this.backend.sync(this.plan());
    return this.nft.transactions.slice(before).map(({ commands }) =>
      commands.map((command) => formatCommand(command, TABLE).replace(" ip kube-proxy", ""))
    );
  }

  async elements(set: string): Promise<readonly string[]> {
    const table = await this.nft.list(TABLE);
    return [...table?.sets.get(set)?.elements.values() ?? []].map(formatElement).sort();
  }

  async chains(): Promise<readonly string[]> {
    const table = await this.nft.list(TABLE);
    return [...table?.chains.keys() ?? []].filter((name) => name.includes("/")).sort();
  }
}

const WEB = { clusterIps: [parseIp("172.30.0.1")], endpoints: ["10.0.0.1", "10.0.0.2"] };
const API = { clusterIps: [parseIp("172.30.0.2")], endpoints: ["10.0.1.1"] };
const WEB_CHAIN = "service-Y6QD5CCT-ns/web/tcp/http";
const API_CHAIN = "service-H4JMTQRC-ns/api/tcp/http";

Deno.test("sync() writes everything at first and nothing when nothing changed", async () => {
  const stage = new Stage();
  stage.put("web", WEB);
  ok((await stage.sync()).length > 0);
  deepStrictEqual(await stage.chains(), [WEB_CHAIN]);
  deepStrictEqual(await stage.sync(), []);
});

Deno.test("sync() of a new process finds the right table and writes nothing", async () => {
  const stage = new Stage();
  stage.put("web", { ...WEB, affinitySeconds: 60 });
  stage.put("api", { ...API, endpoints: [] });
  await stage.sync();
  stage.backend = stage.restarted();
  deepStrictEqual(await stage.sync(), []);
});

Deno.test("sync() writes one chain when an endpoint changed, and does not read", async () => {
  const stage = new Stage();
  stage.put("web", WEB);
  stage.put("api", API);
  await stage.sync();
  stage.nft.listings = 0;
  stage.put("web", { ...WEB, endpoints: ["10.0.0.1"] });
  deepStrictEqual(await stage.sync(), [[
    `flush chain ${WEB_CHAIN}`,
    `add rule ${WEB_CHAIN} meta l4proto tcp dnat ip addr . port to ` +
    "numgen random mod 1 map { 0 : 10.0.0.1 . 8080 }",
  ]]);
  strictEqual(stage.nft.listings, 0);
});

Deno.test("sync() empties and deletes the chains of a service that is gone", async () => {
  const stage = new Stage();
  stage.put("web", WEB);
  stage.put("api", API);
  await stage.sync();
  stage.remove("web");
  deepStrictEqual(await stage.sync(), [
    [
      "delete element service-ips { 172.30.0.1 . tcp . 80 }",
      "delete element cluster-ips { 172.30.0.1 }",
      `flush chain ${WEB_CHAIN}`,
    ],
    [`delete chain ${WEB_CHAIN}`],
  ]);
});

Deno.test("sync() asks for another one while the kernel holds on to a stale chain", async () => {
  const stage = new Stage();
  stage.put("web", WEB);
  await stage.sync();
  stage.remove("web");
  stage.nft.refuse = ({ op }) => op === "delete-chain" ? "EBUSY" : undefined;
  const delays = [];
  for (let i = 0; i < 3; i++) {
    delays.push((await stage.backend.sync(stage.plan())).resyncAfterMs);
  }
  deepStrictEqual(delays, [1_000, 2_000, 4_000]);
  deepStrictEqual(await stage.chains(), [WEB_CHAIN]);
  stage.nft.refuse = undefined;
  strictEqual((await stage.backend.sync(stage.plan())).resyncAfterMs, undefined);
  deepStrictEqual(await stage.chains(), []);
});

Deno.test("sync() uses a chain again that the kernel had not let go of", async () => {
  const stage = new Stage();
  stage.put("web", WEB);
  await stage.sync();
  stage.remove("web");
  stage.nft.refuse = ({ op }) => op === "delete-chain" ? "EBUSY" : undefined;
  await stage.sync();
  stage.nft.refuse = undefined;
  stage.put("web", WEB);
  const written = (await stage.sync()).flat();
  deepStrictEqual(written.filter((line) => line.startsWith("delete chain")), []);
  deepStrictEqual(await stage.chains(), [WEB_CHAIN]);
});

Deno.test("sync() programs all services but the one that the kernel refuses", async () => {
  const stage = new Stage();
  for (let i = 0; i < 9; i++) {
    stage.put(`s${i}`, { clusterIps: [parseIp(`172.30.1.${i}`)], endpoints: ["10.0.0.9"] });
  }
  await stage.sync();
  for (let i = 0; i < 9; i++) {
    stage.put(`s${i}`, { clusterIps: [parseIp(`172.30.1.${i}`)], endpoints: ["10.0.0.8"] });
  }
  stage.nft.refuse = (command) =>
    command.op === "add-rule" && command.chain.includes("/s4/") ? "too long" : undefined;
  const { quarantined } = await stage.backend.sync(stage.plan());
  deepStrictEqual(quarantined.map(({ key }) => key), ["ns/s4:http/TCP"]);
  ok(quarantined[0]?.reason.includes("too long"));
  const table = await stage.nft.list(TABLE);
  for (const [name, { rules }] of table?.chains ?? []) {
    const [, i] = /\/s(\d)\//.exec(name) ?? [];
    if (i !== undefined) ok(rules[0]?.includes(i === "4" ? "10.0.0.9" : "10.0.0.8"), name);
  }
  strictEqual((await stage.elements("service-ips")).length, 9);
});

Deno.test("sync() tries a refused service again only when it changed or was distrusted", async () => {
  const stage = new Stage();
  stage.put("web", WEB);
  stage.put("api", API);
  stage.nft.refuse = (command) =>
    command.op === "add-rule" && command.chain === WEB_CHAIN ? "no" : undefined;
  await stage.sync();
  deepStrictEqual(await stage.elements("service-ips"), [
    `172.30.0.2 . tcp . 80 : goto ${API_CHAIN}`,
  ]);
  stage.nft.refuse = undefined;
  stage.put("api", { ...API, endpoints: ["10.0.1.2"] });
  deepStrictEqual((await stage.sync()).flat().filter((line) => line.includes("ns/web")), []);
  stage.put("web", { ...WEB, endpoints: ["10.0.0.3"] });
  const report = await stage.backend.sync(stage.plan());
  deepStrictEqual([report.quarantined, (await stage.elements("service-ips")).length], [[], 2]);
});

Deno.test("sync() tells of a service whose name nft cannot say, and programs the others", async () => {
  const stage = new Stage();
  stage.put("web", WEB);
  stage.put("a;} flush ruleset;#", API);
  const { quarantined } = await stage.backend.sync(stage.plan());
  deepStrictEqual(quarantined.map(({ key }) => key), ["ns/a;} flush ruleset;#:http/TCP"]);
  deepStrictEqual(await stage.chains(), [WEB_CHAIN]);
  stage.put("web", { ...WEB, endpoints: ["10.0.0.3"] });
  ok(!(await stage.backend.sync(stage.plan())).full);
});

Deno.test("sync() after distrust() writes only what somebody else removed", async () => {
  const stage = new Stage();
  stage.put("web", WEB);
  stage.put("api", API);
  await stage.sync();
  const [full] = stage.nft.transactions.flatMap(({ commands }) => commands)
    .filter((command) => command.op === "add-element" && command.set.name === "service-ips");
  ok(full?.op === "add-element");
  await stage.nft.interfere({ table: TABLE, commands: [{ ...full, op: "delete-element" }] });
  await stage.nft.interfere({ table: TABLE, commands: [{ op: "flush-chain", chain: API_CHAIN }] });
  stage.backend.distrust();
  const written = (await stage.sync()).flat();
  deepStrictEqual(
    written.toSorted(),
    [
      `add element service-ips { ${formatElement(full.element)} }`,
      `add rule ${API_CHAIN} meta l4proto tcp dnat ip addr . port to ` +
      "numgen random mod 1 map { 0 : 10.0.1.1 . 8080 }",
    ].toSorted(),
  );
});

Deno.test("distrust() in the middle of a sync makes the next one read the table", async () => {
  const stage = new Stage();
  stage.put("web", WEB);
  await stage.sync();
  stage.put("web", { ...WEB, endpoints: ["10.0.0.3"] });
  const syncing = stage.backend.sync(stage.plan());
  stage.backend.distrust();
  await syncing;
  ok((await stage.backend.sync(stage.plan())).full);
});

Deno.test("sync() finds out by itself that the table is gone", async () => {
  const stage = new Stage();
  stage.put("web", WEB);
  await stage.sync();
  await stage.nft.interfere({ table: TABLE, commands: [{ op: "delete-table" }] });
  stage.put("web", { ...WEB, endpoints: ["10.0.0.3"] });
  ok((await stage.backend.sync(stage.plan())).full);
  deepStrictEqual(await stage.elements("cluster-ips"), ["172.30.0.1"]);
});

Deno.test("sync() removes what an earlier proxy left, and leaves what it does not know", async () => {
  const stage = new Stage();
  await stage.nft.transact({
    table: TABLE,
    commands: [
      { op: "add-table", comment: "rules for kube-proxy" },
      { op: "add-chain", chain: { name: "services" } },
      { op: "add-chain", chain: { name: "masquerading" } },
      { op: "add-chain", chain: { name: "mine" } },
      { op: "add-chain", chain: { name: "service-OLD-a/b/tcp/" } },
      { op: "add-rule", chain: "services", rule: { statements: [{ kind: "drop" }] } },
      {
        op: "add-rule",
        chain: "service-OLD-a/b/tcp/",
        rule: { statements: [{ kind: "drop" }] },
      },
      {
        op: "add-chain",
        chain: { name: "nat-output", base: { type: "nat", hook: "output", priority: -90 } },
      },
    ],
  });
  stage.put("web", WEB);
  await stage.sync();
  const table = await stage.nft.list(TABLE);
  deepStrictEqual(await stage.chains(), [WEB_CHAIN]);
  deepStrictEqual([table?.chains.has("mine"), table?.chains.get("nat-output")?.base?.priority], [
    true,
    -100,
  ]);
});

Deno.test("sync() leaves the table of another program alone and says so", async () => {
  const stage = new Stage();
  await stage.nft.transact({
    table: TABLE,
    commands: [
      { op: "add-table", comment: "somebody's" },
      { op: "add-chain", chain: { name: "x" } },
    ],
  });
  await rejects(
    stage.sync(),
    (error) => error instanceof SyncError && /another program made it/.test(error.message),
  );
});

Deno.test("sync() applies a new ServiceCIDR at once", async () => {
  const stage = new Stage();
  await stage.sync();
  stage.world.serviceCidrs = ["172.30.0.0/16", "172.31.0.0/16"];
  deepStrictEqual(await stage.sync(), [[
    "flush chain cluster-ips-check",
    'add rule cluster-ips-check ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"',
    'add rule cluster-ips-check ip daddr { 172.30.0.0/16, 172.31.0.0/16 } drop comment "Drop traffic to unallocated ClusterIPs"',
  ]]);
});

Deno.test("sync() gives an address that two services claim to the first by name", async () => {
  const stage = new Stage();
  const externalIps = [parseIp("203.0.113.7")];
  stage.put("web", { ...WEB, externalIps });
  await stage.sync();
  stage.put("api", { ...API, externalIps });
  await stage.sync();
  const owner = async () =>
    (await stage.elements("service-ips")).filter((line) => line.startsWith("203"));
  deepStrictEqual(await owner(), [
    `203.0.113.7 . tcp . 80 : goto ${API_CHAIN.replace("service", "external")}`,
  ]);
  stage.remove("api");
  await stage.sync();
  deepStrictEqual(await owner(), [
    `203.0.113.7 . tcp . 80 : goto ${WEB_CHAIN.replace("service", "external")}`,
  ]);
});

Deno.test("sync() splits a cold start: bounded, and elements after what they refer to", async () => {
  const stage = new Stage();
  for (let i = 0; i < 1_000; i++) {
    const clusterIps = [parseIp(`172.30.${i >> 8}.${i & 255}`)];
    stage.put(`s${i}`, { clusterIps, endpoints: ["10.0.0.1"] });
  }
  const transactions = await stage.sync();
  ok(transactions.length > 3);
  ok(Math.max(...transactions.map((commands) => commands.length)) <= 1_000);
  const isElement = (line: string) => /^add element \w+-ips \{ 172/.test(line);
  const first = transactions.findIndex((commands) => commands.some(isElement));
  ok(transactions.slice(first).every((commands) => commands.some(isElement)));
});

Deno.test("sync() keeps the braces of a range that is given twice, as nft prints it", async () => {
  const stage = new Stage();
  const guarded = {
    ...WEB,
    type: "LoadBalancer",
    loadBalancerIps: [parseIp("203.0.113.9")],
  } as const;
  const rangesOf = (...texts: string[]) => ({ loadBalancerSourceRanges: texts.map(parseCidr) });
  stage.put("web", { ...guarded, ...rangesOf("10.0.0.0/8") });
  await stage.sync();
  const chain = WEB_CHAIN.replace("service", "firewall");
  const firewall = async () => (await stage.nft.list(TABLE))?.chains.get(chain)?.rules;
  deepStrictEqual(await firewall(), ["ip saddr != 10.0.0.0/8 drop"]);
  stage.put("web", { ...guarded, ...rangesOf("10.0.0.0/8", "10.9.9.9/8") });
  await stage.sync();
  deepStrictEqual(await firewall(), ["ip saddr != { 10.0.0.0/8 } drop"]);
});

Deno.test("sync() leaves an element alone whose remark alone is another, as kube-proxy does", async () => {
  const stage = new Stage();
  const portOf = (name: string) => ({
    ports: [{ name, protocol: "TCP", port: 80, nodePort: 0 }] as const,
  });
  const unserved = () => stage.elements("no-endpoint-services");
  stage.put("web", { ...WEB, endpoints: [], ...portOf("http") });
  await stage.sync();
  const [before] = await unserved();
  strictEqual(before, '172.30.0.1 . tcp . 80 comment "ns/web:http" : goto reject-chain');
  stage.put("web", { ...WEB, endpoints: [], ...portOf("renamed") });
  deepStrictEqual(await stage.sync(), []);
  deepStrictEqual(await unserved(), [before]);
  stage.backend = stage.restarted();
  deepStrictEqual(await stage.sync(), []);
  stage.remove("web");
  await stage.sync();
  deepStrictEqual(await unserved(), []);
});

Deno.test("sync() removes sets for affinity that nobody has, and no other set", async () => {
  const stage = new Stage();
  stage.put("web", WEB);
  await stage.sync();
  const names = ["affinity-by-hand", "affinity-ABCDEFGH-ns/x/tcp/y", "of/others"];
  const commands = names.map((name) => ({
    op: "add-set",
    set: { kind: "set", name, type: ["ipv4_addr"] },
  } as const));
  await stage.nft.interfere({ table: TABLE, commands });
  stage.backend = stage.restarted();
  await stage.sync();
  const sets = (await stage.nft.list(TABLE))?.sets;
  deepStrictEqual(names.filter((name) => sets?.has(name)), ["of/others"]);
});

Deno.test("sync() empties a chain that somebody else made in the place of a new one", async () => {
  const stage = new Stage();
  stage.put("web", WEB);
  await stage.sync();
  await stage.nft.interfere({
    table: TABLE,
    commands: [
      { op: "add-chain", chain: { name: API_CHAIN } },
      { op: "add-rule", chain: API_CHAIN, rule: { statements: [{ kind: "drop" }] } },
    ],
  });
  stage.put("api", API);
  await stage.sync();
  deepStrictEqual((await stage.nft.list(TABLE))?.chains.get(API_CHAIN)?.rules, [
    "meta l4proto tcp dnat ip to numgen random mod 1 map { 0 : 10.0.1.1 . 8080 }",
  ]);
});
