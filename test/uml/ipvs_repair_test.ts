/**
 * What others break of ipvs mode on a real kernel while vipd runs, and what one change of another
 * Service makes of it; and a kernel that cannot do what one Service needs. Needs user-mode-linux,
 * ipset, ipvsadm, iproute2, iptables.
 *
 * @module
 */

import { deepStrictEqual, match, notDeepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Backend, SyncReport } from "../../src/backend/contract.ts";
import { IPVS } from "../../src/backend/ipvs/backend.ts";
import { completeConfiguration } from "../../src/config/complete.ts";
import { SILENT } from "../../src/log.ts";
import { type IpFamily, parseCidr, parseIp } from "../../src/model/ip.ts";
import type { EndpointSlice, Service } from "../../src/model/objects.ts";
import { Planner } from "../../src/model/planner.ts";
import { inUml } from "../contract/inside.ts";
import {
  nodeObject,
  plannerOptions,
  service,
  slice,
  sliceEndpoint,
  snapshot,
} from "../support/builders.ts";
import { ended } from "../support/process.ts";
import { legacyIptablesPath } from "../support/tools.ts";

/** Addresses of a world in one family. */
interface Plot {
  readonly family: IpFamily;
  /** Of Services, external and of load balancers; of endpoints. */
  readonly ip: (n: number) => string;
  readonly node: string;
  readonly range: string;
  readonly bits: number;
}

const PLOTS: readonly Plot[] = [
  {
    family: "IPv4",
    ip: (n) => `10.96.0.${n}`,
    node: "192.168.77.2",
    range: "203.0.113.0/24",
    bits: 32,
  },
  {
    family: "IPv6",
    ip: (n) => `fd00:96::${n}`,
    node: "fd00:77::2",
    range: "2001:db8:9::/48",
    bits: 128,
  },
];

const CONFIG = completeConfiguration({ mode: "ipvs" });

/** One vipd with one family in front of the kernel. */
class World {
  readonly #objects = new Map<string, [Service, EndpointSlice]>();
  readonly #planner: Planner;
  #backend: Backend | undefined;

  constructor(readonly plot: Plot) {
    this.#planner = new Planner(plannerOptions({
      family: plot.family,
      clusterCidrs: [],
      nodeIp: parseIp(plot.node),
    }));
  }

  /** Service `n`; its endpoints are on this node. */
  put(n: number, { endpoints = 2, ...fields }: Partial<Service> & { endpoints?: number } = {}) {
    const { ip, family } = this.plot;
    const name = `s${n}`;
    this.#objects.set(name, [
      service({ name, clusterIps: [parseIp(ip(n))], ...fields }),
      slice({
        name: `${name}-1`,
        serviceName: name,
        family,
        endpoints: Array.from(
          { length: endpoints },
          (_, i) => sliceEndpoint(ip(10 * n + i), { nodeName: "here" }),
        ),
      }),
    ]);
  }

  async start(): Promise<void> {
    this.#backend?.close();
    const { family } = this.plot;
    this.#backend = await IPVS.open({ family, config: CONFIG, log: SILENT });
  }

  async sync(): Promise<SyncReport> {
    const objects = [...this.#objects.values()];
    const plan = this.#planner.plan(
      snapshot({
        services: objects.map(([one]) => one),
        slices: objects.map(([, one]) => one),
        node: nodeObject(),
      }),
      [{ interfaceName: "n0", ip: parseIp(this.plot.node) }],
    );
    if (this.#backend === undefined) throw new TypeError("not started");
    return await this.#backend.sync(plan);
  }

  close(): void {
    this.#backend?.close();
  }
}

async function sh(script: string): Promise<string> {
  const { code, stdout, stderr } = await ended(["sh", "-c", script]);
  strictEqual(code, 0, `${script}: ${stderr}`);
  return stdout;
}

/** What the kernel's state is read by, once for each part. */
const DUMPS = {
  sets: "ipset save",
  servers: "ipvsadm -Sn",
  addresses: "ip -o addr show dev kube-ipvs0",
  tables: "for table in nat filter; do iptables-save -t $table; ip6tables-save -t $table; done",
};

type State = Readonly<Record<keyof typeof DUMPS, readonly string[]>>;

/** All of the kernel's state after a script, sorted but for rules. */
async function stateAfter(script = ":"): Promise<State> {
  // Processes are slow here: one shell for all.
  const parts = Object.values(DUMPS).map((dump) => `echo ==; ${dump} 2>/dev/null`);
  const output = await sh([`{ ${script}; } >/dev/null`, ...parts, ":"].join("\n"));
  const [sets = [], servers = [], addresses = [], tables = []] = output.split("==\n").slice(1)
    .map(linesOf);
  return { sets: sets.sort(), servers: servers.sort(), addresses: addresses.sort(), tables };
}

/** Without remarks, counters, and what is different each time. */
function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) =>
    line.replace(/\[\d+:\d+\]| (initval|bucketsize) \S+| *valid_lft.*|^\d+/g, "")
  );
}

/** `SETS`: the start of the names of sets. `VIP`, `EP`: of Service 1. `T`: how ipvsadm says it. */
const DAMAGE: readonly (readonly [string, string])[] = [
  ["a set was flushed", "ipset flush ${SETS}CLUSTER-IP"],
  ["all sets were flushed", "ipset flush"],
  ["an entry was exchanged", "ipset del ${SETS}IPVS-IPS $VIP; ipset add ${SETS}IPVS-IPS $EP"],
  ["a port was added", "ipset add ${SETS}NODE-PORT-TCP 22"],
  ["a set without rules was destroyed", "ipset destroy ${SETS}NODE-PORT-UDP"],
  ["a range was added", "ipset add ${SETS}LOAD-BALANCER-SOURCE-CID$CIDR_END $VIP,tcp:80,$VIP"],
  ["the scheduler was changed", "ipvsadm -E -t $T:80 -s wlc"],
  ["persistence was added", "ipvsadm -E -t $T:80 -s rr -p 77"],
  ["a real server was added", "ipvsadm -a -t $T:80 -r $T:9 -m"],
  ["a real server without weight was added", "ipvsadm -a -t $T:80 -r $T:9 -m -w 0"],
  ["a real server was removed", "ipvsadm -d -t $T:80 -r $E:8080"],
  ["a real server lost its weight", "ipvsadm -e -t $T:80 -r $E:8080 -m -w 0"],
  ["a virtual server was removed", "ipvsadm -D -t $T:80"],
  ["a virtual server was added", "ipvsadm -A -u $T:99 -s wrr"],
  ["all virtual servers were removed", "ipvsadm -C"],
  ["an address was removed", "ip addr del $VIP dev kube-ipvs0"],
  ["an address was added", "ip addr add $EP dev kube-ipvs0"],
  ["the device was removed", "ip link del kube-ipvs0"],
  ["a chain was flushed", "$IPT -t nat -F KUBE-MARK-MASQ"],
  ["a rule was added", "$IPT -t filter -A KUBE-FORWARD -j DROP"],
  ["a jump was removed", "$IPT -t filter -F INPUT"],
  ["all rules were removed", "$IPT -t nat -F; $IPT -t nat -X; $IPT -t filter -F"],
];

function variables({ family, ip }: Plot): string {
  const isV4 = family === "IPv4";
  const [vip, endpoint] = [ip(1), ip(10)];
  return Object.entries({
    SETS: isV4 ? "KUBE-" : "KUBE-6-",
    CIDR_END: isV4 ? "R" : "",
    IPT: isV4 ? "iptables -w" : "ip6tables -w",
    VIP: vip,
    EP: endpoint,
    T: isV4 ? vip : `[${vip}]`,
    E: isV4 ? endpoint : `[${endpoint}]`,
  }).map(([name, value]) => `${name}='${value}'; `).join("");
}

/** A node port, an external IP, and a load balancer with ranges that hold the node or not. */
function furnish(world: World): void {
  const { ip, node, range, bits } = world.plot;
  world.put(1);
  const ports = [{ name: "http", protocol: "TCP", port: 80, nodePort: 30_080 }] as const;
  world.put(2, { type: "NodePort", ports, externalIps: [parseIp(ip(102))] });
  const ranges = [parseCidr(range), parseCidr(`${node}/${bits}`)];
  world.put(3, {
    type: "LoadBalancer",
    loadBalancerIps: [parseIp(ip(103))],
    loadBalancerSourceRanges: ranges,
  });
}

async function repairsAll(plot: Plot, damages: typeof DAMAGE): Promise<void> {
  Deno.env.set("PATH", await legacyIptablesPath(await Deno.makeTempDir()));
  const world = new World(plot);
  await world.start();
  furnish(world);
  const good: State[] = [];
  for (const endpoints of [2, 1]) {
    world.put(9, { endpoints });
    await world.sync();
    good.push(await stateAfter());
  }
  for (const [i, [what, damage]] of damages.entries()) {
    const damaged = await stateAfter(variables(plot) + damage);
    notDeepStrictEqual(damaged, good[(i + 1) % 2], what);
    world.put(9, { endpoints: i % 2 === 0 ? 2 : 1 });
    await world.sync();
    deepStrictEqual(await stateAfter(), good[i % 2], what);
  }
  // And nothing is seen where nothing was done.
  world.put(9, { endpoints: damages.length % 2 === 0 ? 2 : 1 });
  const { full, processes } = await world.sync();
  deepStrictEqual([full, processes], [false, 1]);
  world.close();
  deepStrictEqual(await IPVS.cleanup({ config: CONFIG, log: SILENT }), []);
}

/** Every kind of set entry and rule there is. */
async function readsBackAll(plot: Plot): Promise<void> {
  const world = new World(plot);
  await world.start();
  furnish(world);
  const ports = (["TCP", "UDP", "SCTP"] as const).map((protocol, i) => {
    return { name: protocol.toLowerCase(), protocol, port: 80, nodePort: 30_090 + i };
  });
  const everything = {
    type: "LoadBalancer",
    ports,
    affinitySeconds: 77,
    loadBalancerSourceRanges: [plot.range, `${plot.ip(77)}/${plot.bits}`].map(parseCidr),
  } as const;
  world.put(5, {
    ...everything,
    externalIps: [parseIp(plot.ip(105)), parseIp(plot.node)],
    loadBalancerIps: [parseIp(plot.ip(115)), parseIp(plot.ip(105))],
  });
  world.put(6, {
    ...everything,
    ports: ports.map((port) => ({ ...port, nodePort: port.nodePort + 10 })),
    externalTrafficPolicy: "Local",
    healthCheckNodePort: 32_000,
    externalIps: [parseIp(plot.ip(106))],
    loadBalancerIps: [parseIp(plot.ip(116))],
  });
  deepStrictEqual((await world.sync()).quarantined, []);
  const { sets, tables } = await stateAfter();
  const filled = new Set(sets.filter((line) => line.startsWith("add")).map((l) => l.split(" ")[1]));
  strictEqual(filled.size, 17, [...filled].join());
  strictEqual(tables.filter((rule) => rule.includes("-m ipvs ")).length, 9);
  await world.start();
  const { full, bytesWritten } = await world.sync();
  deepStrictEqual([full, bytesWritten], [true, 0]);
  world.close();
  deepStrictEqual(await IPVS.cleanup({ config: CONFIG, log: SILENT }), []);
}

async function curtailsAndServes(plot: Plot): Promise<void> {
  const world = new World(plot);
  await world.start();
  furnish(world);
  await world.sync();
  const before = await stateAfter();
  await sh("lsmod | grep -q ^xt_ipvs && exit 1; echo /bin/false >/proc/sys/kernel/modprobe");
  const vip = parseIp(plot.ip(104));
  const ranges = [parseCidr(plot.range)];
  world.put(4, { type: "LoadBalancer", loadBalancerIps: [vip], loadBalancerSourceRanges: ranges });
  world.put(5);
  const { quarantined } = await world.sync();
  deepStrictEqual(quarantined.map(({ key }) => key), ["ns/s4:http/TCP"]);
  match(quarantined[0]?.reason ?? "", /modprobe xt_ipvs/);
  const during = await stateAfter();
  deepStrictEqual(during.tables, before.tables);
  const serversOf = (n: number): number =>
    during.servers.filter((line) => line.startsWith(`-A -t ${plot.ip(n)}:`)).length;
  deepStrictEqual([4, 5, 104].map(serversOf), [1, 1, 0]);
  await sh("echo /sbin/modprobe >/proc/sys/kernel/modprobe");
  deepStrictEqual((await world.sync()).quarantined, []);
  const after = await stateAfter();
  ok(after.tables.some((rule) => rule.includes(`-m ipvs --vproto 6 --vaddr ${vip}`)));
  ok(after.servers.includes(`-A -t ${vip}:80 -s rr`));
  world.close();
  deepStrictEqual(await IPVS.cleanup({ config: CONFIG, log: SILENT }), []);
}

inUml(import.meta.url, () => {
  for (const plot of PLOTS) {
    // What is asked of the kernel in another way for IPv6 is in the first few.
    const damages = plot.family === "IPv4" ? DAMAGE : DAMAGE.slice(0, 9);
    Deno.test(`${plot.family}: a change repairs whatever others did`, () => {
      return repairsAll(plot, damages);
    });
  }
  for (const plot of PLOTS.slice(0, 1)) {
    Deno.test("without xt_ipvs one load balancer is left out, until it is loaded", () => {
      return curtailsAndServes(plot);
    });
  }
  for (const plot of PLOTS) {
    Deno.test(`${plot.family}: a restart writes nothing where every set is in use`, () => {
      return readsBackAll(plot);
    });
  }
});
