/**
 * `deno task measure [--vipd dist/vipd] [--services 0,1000,5000] [--mode iptables]`: what an
 * executable costs on a node. Time from its start to an answer of /healthz and to the first
 * complete sync (/readyz), memory then and when it has been idle, processor time when idle.
 * Objects come from manifests, each Service with five endpoints, in a network namespace.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { openNetwork } from "../test/support/netns.ts";

/** One run. */
interface Scenario {
  readonly executable: string;
  readonly mode: string;
  readonly services: number;
  readonly v8Flags: string;
}

interface Measured {
  readonly healthzMs: number;
  readonly readyMs: number;
  readonly peakMb: number;
  readonly idleMb: number;
  /** Milliseconds of processor per second. */
  readonly idleCpuMs: number;
}

const ENDPOINTS = 5;
const SETTLE_MS = 12_000;
const IDLE_MS = 10_000;
const READY_LIMIT_MS = 180_000;
const TICK_MS = 10; // of utime and stime in /proc/PID/stat

function manifest(services: number): string {
  const node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "node-a" },
    spec: { podCIDRs: ["10.244.1.0/24"] },
    status: { addresses: [{ type: "InternalIP", address: "192.0.2.10" }] },
  };
  const pairs = Array.from({ length: services }, (_, i) => [serviceOf(i), sliceOf(i)]).flat();
  return JSON.stringify({ apiVersion: "v1", kind: "List", items: [node, ...pairs] });
}

function serviceOf(i: number): object {
  const clusterIP = `10.96.${Math.floor(i / 250)}.${i % 250 + 1}`;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: `svc-${i}`, namespace: "bench" },
    spec: {
      type: "ClusterIP",
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: ["IPv4"],
      ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }],
      sessionAffinity: "None",
    },
  };
}

function sliceOf(i: number): object {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `svc-${i}-1`,
      namespace: "bench",
      labels: { "kubernetes.io/service-name": `svc-${i}` },
    },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: Array.from({ length: ENDPOINTS }, (_, e) => {
      const n = i * ENDPOINTS + e;
      return {
        addresses: [
          `10.${244 + Math.floor(n / 62500)}.${Math.floor(n / 250) % 250}.${n % 250 + 1}`,
        ],
        conditions: { ready: true },
        nodeName: "node-b",
      };
    }),
  };
}

async function measure({ executable, mode, services, v8Flags }: Scenario): Promise<Measured> {
  const directory = await Deno.makeTempDir({ prefix: "vipd-measure-" });
  await using network = await openNetwork({ tag: "vmeas", namespaces: ["node"] });
  try {
    await Deno.writeTextFile(`${directory}/all.json`, manifest(services));
    const flags = [
      ...[`--proxy-mode=${mode}`, "--hostname-override=node-a", `--manifests=${directory}`],
      ...["--cluster-cidr=10.244.0.0/14", "--conntrack-max-per-core=0", "-v=0"],
      ...["--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0"],
    ];
    const log = `${directory}/log`;
    const startMs = performance.now();
    const child = network.spawn("node", [
      ...["sh", "-c", 'exec "$@" 2>>"$0"', log, executable, ...flags],
    ], { stdin: "null", stdout: "null", env: v8Flags === "" ? {} : { DENO_V8_FLAGS: v8Flags } });
    try {
      const ask = (path: string, ok: string) =>
        network.sh("node", poll({ path, ok, pid: child.pid }), { timeoutMs: READY_LIMIT_MS });
      await ask("healthz", "...");
      const healthzMs = performance.now() - startMs;
      await ask("readyz", "200");
      const readyMs = performance.now() - startMs;
      await sleep(SETTLE_MS);
      const before = await ticks(child.pid);
      await sleep(IDLE_MS);
      const idleCpuMs = (await ticks(child.pid) - before) * TICK_MS / (IDLE_MS / 1000);
      const [idleMb, peakMb] = await memory(child.pid);
      return { healthzMs, readyMs, peakMb, idleMb, idleCpuMs };
    } catch (cause) {
      throw new Error(`Cannot measure: ${await Deno.readTextFile(log)}`, { cause });
    } finally {
      child.kill("SIGTERM");
      await child.status;
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** A shell that asks every 10 ms and fails when the process is gone. */
function poll({ path, ok, pid }: { path: string; ok: string; pid: number }): string {
  const ask = `curl -so /dev/null -w '%{http_code}' http://127.0.0.1:10256/${path}`;
  return `while kill -0 ${pid}; do case $(${ask}) in 000) ;; ${
    ok.replaceAll(".", "?")
  }) exit 0;; ` +
    `esac; sleep 0.01; done; exit 1`;
}

async function ticks(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

async function memory(pid: number): Promise<readonly [number, number]> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const megabytes = (name: string) =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return [megabytes("VmRSS"), megabytes("VmHWM")];
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: [...Deno.args],
    options: {
      vipd: { type: "string", default: "dist/vipd" },
      services: { type: "string", default: "0,1000,5000" },
      mode: { type: "string", default: "iptables" },
      "v8-flags": { type: "string", default: "" },
    },
  });
  const executable = await Deno.realPath(values.vipd);
  say("services  /healthz ms  /readyz ms  idle MB  peak MB  idle CPU ms/s");
  for (const services of values.services.split(",").map(Number)) {
    const m = await measure({
      executable,
      services,
      mode: values.mode,
      v8Flags: values["v8-flags"],
    });
    const cells = [m.healthzMs, m.readyMs, m.idleMb, m.peakMb, m.idleCpuMs];
    const widths = [13, 12, 9, 9, 15];
    say(
      String(services).padStart(8) +
        cells.map((value, i) => value.toFixed(0).padStart(widths[i] ?? 0)).join(""),
    );
  }
}
