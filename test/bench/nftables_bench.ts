/**
 * What nftables mode costs at a given size, in a namespace, by either writer:
 *
 *     deno run -A test/bench/nftables_bench.ts [--sizes 1000,10000] [--writers netlink,nft] [--rounds 30]
 *
 * For each: the cold start and its longest transaction, a start with the right table in place, then the
 * median of endpoint changes, and of services that come and go. Times are from plan to kernel; CPU is
 * of this process and its children. Needs root, iproute2, nft and libnl.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { NftablesBackend } from "../../src/backend/nftables/backend.ts";
import type { Nft, Written } from "../../src/kernel/nft/nft.ts";
import { NftTool } from "../../src/kernel/nft/tool.ts";
import type { Transaction } from "../../src/kernel/nft/values.ts";
import { SILENT } from "../../src/log.ts";
import { parseCidr, parseIp } from "../../src/model/ip.ts";
import type { EndpointSlice, Service, ServiceCidr } from "../../src/model/objects.ts";
import { Planner } from "../../src/model/planner.ts";
import { openNftNamespace } from "../contract/nft_namespace.ts";
import { nodeObject, plannerOptions, service, slice, sliceEndpoint } from "../support/builders.ts";

const ENDPOINTS = 5;

const CONFIG = {
  masqueradeBit: 14,
  masqueradeAll: false,
  syncPeriodMs: 1,
  minSyncPeriodMs: undefined,
};

/** Times transactions on their way through. */
class TimedNft implements Nft {
  longestMs = 0;
  readonly batchCommands: number;
  readonly #nft: Nft;
  readonly list: Nft["list"];
  readonly fingerprints: Nft["fingerprints"];
  readonly watch: Nft["watch"];
  readonly breathe: Nft["breathe"];

  constructor(nft: Nft) {
    this.#nft = nft;
    this.batchCommands = nft.batchCommands;
    this.list = nft.list.bind(nft);
    this.fingerprints = nft.fingerprints.bind(nft);
    this.watch = nft.watch.bind(nft);
    this.breathe = nft.breathe.bind(nft);
  }

  async transact(transaction: Transaction): Promise<Written> {
    const start = performance.now();
    const written = await this.#nft.transact(transaction);
    this.longestMs = Math.max(this.longestMs, performance.now() - start);
    return written;
  }

  close(): void {
    this.#nft.close();
  }
}

/** A cluster of services with five endpoints each, changed in place like the store of the daemon. */
class Cluster {
  readonly services = new Map<`${string}/${string}`, Service>();
  readonly slicesByService = new Map<`${string}/${string}`, readonly EndpointSlice[]>();
  readonly node = nodeObject();
  readonly serviceCidrs = new Map<string, ServiceCidr>([
    ["kubernetes", { name: "kubernetes", cidrs: [parseCidr("172.16.0.0/12")] }],
  ]);
  #round = 0;

  constructor(size: number) {
    for (let i = 0; i < size; i++) this.put(i);
  }

  put(i: number): void {
    const name = `service-${i}`;
    const clusterIps = [parseIp(`172.16.${i >> 8}.${i & 255}`)];
    this.services.set(`ns/${name}`, service({ name, clusterIps }));
    this.changeEndpoint(i);
  }

  remove(i: number): void {
    this.services.delete(`ns/service-${i}`);
    this.slicesByService.delete(`ns/service-${i}`);
  }

  changeEndpoint(i: number): void {
    this.#round++;
    const ips = Array.from({ length: ENDPOINTS }, (_, n) => `10.${n}.${i >> 8}.${i & 255}`);
    ips[0] = `10.9.${this.#round >> 8 & 255}.${this.#round & 255}`;
    this.slicesByService.set(`ns/service-${i}`, [
      slice({
        name: `service-${i}-1`,
        serviceName: `service-${i}`,
        endpoints: ips.map((ip) => sliceEndpoint(ip)),
      }),
    ]);
  }
}

interface Cost {
  readonly ms: number;
  readonly cpuMs: number;
  readonly bytes: number;
}

async function measure(act: () => Promise<{ readonly bytesWritten: number }>): Promise<Cost> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const { bytesWritten } = await act();
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { ms, cpuMs: (user + system) / 1000, bytes: bytesWritten };
}

function median(costs: readonly Cost[]): Cost {
  const middle = (values: readonly number[]) =>
    values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
  return {
    ms: middle(costs.map(({ ms }) => ms)),
    cpuMs: middle(costs.map(({ cpuMs }) => cpuMs)),
    bytes: middle(costs.map(({ bytes }) => bytes)),
  };
}

function say(label: string, { ms, cpuMs, bytes }: Cost): void {
  const numbers = `${ms.toFixed(2).padStart(10)} ms ${cpuMs.toFixed(2).padStart(9)} ms CPU`;
  // deno-lint-ignore no-console -- a bench prints
  console.log(`${label.padEnd(44)}${numbers} ${String(bytes).padStart(10)} bytes`);
}

async function bench(
  writer: "netlink" | "nft",
  { size, rounds }: { size: number; rounds: number },
) {
  await using namespace = await openNftNamespace();
  const inner = writer === "nft" ? new NftTool({ run: namespace.run }) : namespace.netlink();
  const nft = new TimedNft(inner);
  const cluster = new Cluster(size);
  const planner = new Planner(plannerOptions({
    nodePortAddresses: "primary",
  }));
  const start = () => new NftablesBackend({ family: "IPv4", nft, config: CONFIG, log: SILENT });
  let backend = start();
  const sync = () => backend.sync(planner.plan(cluster, []));
  const label = (what: string) => `${writer}, ${size} services: ${what}`;

  const cold = await measure(sync);
  say(label("cold start"), cold);
  say(label("its longest transaction"), { ...cold, ms: nft.longestMs });
  backend = start();
  say(label("start with the table in place"), await measure(sync));

  const changes: Cost[] = [];
  const additions: Cost[] = [];
  const removals: Cost[] = [];
  for (let i = 0; i < rounds; i++) {
    cluster.changeEndpoint(i * 7 % size);
    changes.push(await measure(sync));
    cluster.put(size + i);
    additions.push(await measure(sync));
    cluster.remove(size + i);
    removals.push(await measure(sync));
  }
  say(label("endpoint change"), median(changes));
  say(label("service added"), median(additions));
  say(label("service removed"), median(removals));
  const many = Math.min(500, size);
  for (let i = 0; i < many; i++) cluster.changeEndpoint(i);
  say(label(`${many} endpoint changes at once`), await measure(sync));
  // deno-lint-ignore no-console -- a bench prints
  console.log(`RSS ${(Deno.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`);
  backend.close();
}

const { values } = parseArgs({
  options: {
    sizes: { type: "string", default: "1000,10000" },
    writers: { type: "string", default: "netlink,nft" },
    rounds: { type: "string", default: "30" },
  },
});
for (const size of values.sizes.split(",").map(Number)) {
  for (const writer of values.writers.split(",")) {
    await bench(writer === "nft" ? "nft" : "netlink", { size, rounds: Number(values.rounds) });
  }
}
