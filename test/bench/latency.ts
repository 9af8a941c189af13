/**
 * What a change costs from end to end: an EndpointSlice is written, how long until a client
 * outside reaches the new endpoint, and how much CPU and how many bytes vipd spent.
 *
 *     deno task bench:latency [-- --mode nftables --services 1000 --changes 40]
 *
 * A real API server, vipd, kernel and client, in namespaces of test/e2e. Also measures a cold start
 * and a restart with the state in place. Medians; times vary with the machine, so compare ratios
 * within one run. Needs root.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { type Cluster, openCluster } from "../e2e/cluster.ts";
import { ADDRESSES } from "../e2e/topology.ts";
import { service, slice } from "../e2e/objects.ts";
import { openNetwork } from "../support/netns.ts";

const ENDPOINTS = 5;
const WEB = { name: "web", port: 80, targetPort: 8080, protocol: "TCP" };
/** Bytes and changed ServicePorts of a sync, as vipd logs it at `-v=2`. */
const SYNC =
  /"Synced rules" family="IPv4" full=(\w+).* changed=(\d+) bytes=(\d+) processes=(\d+) ms=([\d.]+)/g;
/** USER_HZ: what /proc/PID/stat counts in. */
const TICK_MS = 10;

interface Settings {
  readonly mode: string;
  readonly services: number;
  readonly changes: number;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args.filter((word) => word !== "--"),
    options: {
      mode: { type: "string", default: "iptables" },
      services: { type: "string", default: "1000" },
      changes: { type: "string", default: "40" },
    },
  });
  if (Deno.env.get("VIPD_OUTSIDE") === undefined) return await runInside();
  await measure({
    mode: values.mode,
    services: Number(values.services),
    changes: Number(values.changes),
  });
  return 0;
}

/** Again, in a namespace that is thrown away. */
async function runInside(): Promise<number> {
  await using network = await openNetwork({ tag: "vbl", namespaces: ["outside"] });
  const outside = network.name("outside");
  const script = new URL(import.meta.url).pathname;
  const child = new Deno.Command("nsenter", {
    args: [
      `--net=/run/netns/${outside}`,
      ...[Deno.execPath(), "run", "-A", "--no-check", "--cached-only", script, ...Deno.args],
    ],
    env: { VIPD_OUTSIDE: outside },
    stdin: "null",
  }).spawn();
  return (await child.status).code;
}

async function measure({ mode, services, changes }: Settings): Promise<void> {
  await using cluster = await openCluster({ mode, start: false });
  const target = { name: "probe", vip: ADDRESSES.IPv4.service(9) };
  cluster.server.apply(
    ...Array.from({ length: services }, (_, i) => crowd(i)).flat(),
    // TCP only: a changed UDP port also costs a walk over the kernel's whole table of connections.
    service(target.name, { clusterIP: target.vip, ports: [WEB] }),
    slice(target.name, { family: "IPv4", pods: ["far-1"] }),
  );
  say(`mode ${mode}, ${services} services x ${ENDPOINTS} endpoints`);
  await measureStart(cluster, "cold start to ready");
  await measureStart(cluster, "restart with the state in place");
  await measureChanges(cluster, { target, changes });
}

async function measureStart(cluster: Cluster, what: string): Promise<void> {
  const started = performance.now();
  await cluster.restart("SIGTERM");
  const ms = performance.now() - started;
  const bytes = (await syncLines(cluster)).at(-1)?.bytes;
  row(what, [`${ms.toFixed(0)} ms`, `${await cpuMs(cluster)} ms CPU`, `${bytes} bytes`]);
}

async function measureChanges(
  cluster: Cluster,
  { target, changes }: { target: { name: string; vip: string }; changes: number },
): Promise<void> {
  const latencies: number[] = [];
  await settled();
  const before = await cpuMs(cluster);
  for (let i = 0; i < changes; i++) {
    const pod = i % 2 === 0 ? "far-2" : "far-1";
    const started = performance.now();
    cluster.server.apply(slice(target.name, { family: "IPv4", pods: [pod] }));
    await reached(cluster, { host: target.vip, pod });
    latencies.push(performance.now() - started);
    await settled();
  }
  const cpu = (await cpuMs(cluster) - before) / changes;
  latencies.sort((a, b) => a - b);
  const last = (await syncLines(cluster)).findLast(({ changed }) => changed !== "0");
  row("endpoint change to first connection", [
    `median ${at(latencies, 0.5)} ms`,
    `p99 ${at(latencies, 0.99)} ms`,
    `${cpu.toFixed(1)} ms CPU`,
  ]);
  row("its sync", [
    `${last?.ms} ms`,
    `${last?.bytes} bytes for ${last?.changed} ServicePorts`,
    `${last?.processes} processes`,
  ]);
  row("idle", [`${await idleCpu(cluster)} ms CPU per s`, `RSS ${await rssMegabytes(cluster)} MB`]);
}

async function reached(
  cluster: Cluster,
  { host, pod }: { host: string; pod: string },
): Promise<void> {
  for (;;) {
    const answer = await cluster.probe("outside", { protocol: "tcp", host, port: 80 });
    if (answer.kind === "answer" && answer.by === pod) return;
  }
}

/** Lets minSyncPeriod and what follows a sync go by, so that each change meets a quiet node. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 400));
}

/** Its duration includes the plan. */
interface SyncLine {
  readonly bytes: string;
  readonly changed: string;
  readonly processes: string;
  readonly ms: string;
}

async function syncLines(cluster: Cluster): Promise<readonly SyncLine[]> {
  const text = await Deno.readTextFile(cluster.vipd.logFile);
  return [...text.matchAll(SYNC)].map((
    [, , changed = "", bytes = "", processes = "", ms = ""],
  ) => ({ bytes, changed, processes, ms }));
}

/** CPU of vipd and of the tools that it waited for. */
async function cpuMs(cluster: Cluster): Promise<number> {
  const text = await Deno.readTextFile(`/proc/${cluster.vipd.pid}/stat`);
  // Behind the name in brackets: state is field 3, utime, stime, cutime, cstime are 14 to 17.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return TICK_MS * fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
}

/** Long enough for a tick to be a tenth of a millisecond per second. */
async function idleCpu(cluster: Cluster): Promise<string> {
  const seconds = 10;
  const before = await cpuMs(cluster);
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  return ((await cpuMs(cluster) - before) / seconds).toFixed(1);
}

async function rssMegabytes(cluster: Cluster): Promise<number> {
  const text = await Deno.readTextFile(`/proc/${cluster.vipd.pid}/status`);
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? NaN) / 1024);
}

function at(sorted: readonly number[], quantile: number): string {
  const index = Math.min(sorted.length - 1, Math.floor(quantile * sorted.length));
  return (sorted[index] ?? NaN).toFixed(1);
}

function row(what: string, values: readonly string[]): void {
  say(`  ${what.padEnd(38)}${values.join(", ")}`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Service number `i` of the crowd, with endpoints that nobody asks. */
function crowd(i: number): readonly object[] {
  const name = `crowd-${i}`;
  const labels = { "kubernetes.io/service-name": name };
  const ips = Array.from({ length: ENDPOINTS }, (_, k) => {
    const n = i * ENDPOINTS + k;
    return `10.1.${4 + Math.floor(n / 250)}.${1 + n % 250}`;
  });
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace: "crowd", name },
      spec: {
        clusterIP: `172.30.${1 + Math.floor(i / 250)}.${1 + i % 250}`,
        ports: [WEB],
      },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { namespace: "crowd", name: `${name}-1`, labels },
      addressType: "IPv4",
      ports: [{ name: "web", port: 8080, protocol: "TCP" }],
      endpoints: ips.map((ip) => ({
        addresses: [ip],
        conditions: { ready: true },
        nodeName: "there",
      })),
    },
  ];
}

process.exitCode = await main();
