/**
 * The demo's cluster: namespaces, an API server with the manifests of examples/, pods that serve,
 * and vipd on node-a, each its own process.
 *
 * @module
 */

import { parse, stringify } from "yaml";
import type { ProxyMode } from "../../src/config/types.ts";
import { readIfThere } from "../../test/support/files.ts";
import { type Network, openNetwork } from "../../test/support/netns.ts";
import { legacyIptablesPath } from "../../test/support/tools.ts";
import { VIPD_PERMISSIONS } from "../vipd_permissions.ts";
import { Agent } from "./agent_handle.ts";
import { isInside } from "./screen.ts";
import { API_ADDRESS, demoTopology, type Place, PLACES, PODS } from "./topology.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const READY_LIMIT_MS = 20_000;
/** user-mode-linux is slow. */
const INSIDE_READY_LIMIT_MS = 90_000;

/** Something does not start; the message shows the end of its log. */
export class DemoError extends Error {
  override readonly name = "DemoError";
}

/** How a cluster is made. */
export interface ClusterOptions {
  readonly mode: ProxyMode;
  /** For credentials, configuration and logs; exists. */
  readonly directory: string;
  /** Everything runs on when the demo ends. */
  readonly stays: boolean;
  /** Told before each step what it is. */
  readonly onStep: (name: string, doing: string) => (done: string) => void;
}

/** What runs. */
export interface Cluster {
  readonly network: Network;
  readonly agents: Readonly<Record<Place, Agent>>;
  /** Of the API server. */
  readonly url: string;
  readonly hasIpv6: boolean;
}

/** Starts all of it. On failure the network is to be disposed by `use`'s owner. */
export async function openCluster(
  options: ClusterOptions,
  stack: AsyncDisposableStack,
): Promise<Cluster> {
  const { directory, onStep } = options;
  const hasIpv6 = await exists("/proc/net/if_inet6");
  const netDone = onStep("namespaces", "making two nodes, pods, and an outside");
  const network = stack.use(await openNetwork(demoTopology(hasIpv6)));
  netDone(`${PLACES.join(" ")}`);
  const serversDone = onStep("servers", "starting API server and pods");
  const agents = startAgents(network, options);
  const api = startApi(network, directory);
  await servePods(agents, hasIpv6);
  const url = await api;
  serversDone(`API at ${url}, HTTP and UDP in 4 pods`);
  const vipdDone = onStep("vipd", `starting vipd in mode ${options.mode}`);
  const child = await startVipd(network, options);
  await waitReady(agents["node-a"], { child, log: `${directory}/vipd.log` });
  vipdDone(`mode ${options.mode}, ready: every Service is in the kernel`);
  return { network, agents, url, hasIpv6 };
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function startAgents(network: Network, { stays }: ClusterOptions): Cluster["agents"] {
  const agent = (place: Place): Agent => new Agent(network, place, { stays });
  return {
    outside: agent("outside"),
    "node-a": agent("node-a"),
    "web-1": agent("web-1"),
    "web-2": agent("web-2"),
    "node-b": agent("node-b"),
  };
}

async function servePods(agents: Cluster["agents"], hasIpv6: boolean): Promise<void> {
  await Promise.all(
    Object.entries(PODS).map(([name, { place, addresses }]) =>
      agents[place].serve(name, addresses.slice(0, hasIpv6 ? 2 : 1))
    ),
  );
}

async function startApi(network: Network, directory: string): Promise<string> {
  const log = `${directory}/apiserver.log`;
  const child = network.spawn("outside", [
    ...["sh", "-c", 'exec "$@" >"$0" 2>&1', log],
    ...[Deno.execPath(), "run", "--no-check", "--cached-only", "-A"],
    ...[`${ROOT}test/support/apiserver/main.ts`, "--listen", `${API_ADDRESS}:6443`],
    ...["--dir", directory, "--manifests", `${ROOT}examples`],
  ], { stdin: "null" });
  return await waitFor({ what: "the API server", child, log }, async () => {
    return /^ready (.*)$/m.exec(await readIfThere(log))?.[1];
  });
}

async function startVipd(network: Network, options: ClusterOptions): Promise<Deno.ChildProcess> {
  const { directory, mode } = options;
  const config = `${directory}/kube-proxy.yaml`;
  const example: unknown = parse(await Deno.readTextFile(`${ROOT}examples/config/kube-proxy.yaml`));
  const clientConnection = { kubeconfig: `${directory}/proxy.kubeconfig` };
  await Deno.writeTextFile(
    config,
    stringify(Object.assign({}, example, { mode, clientConnection })),
  );
  const command = [...vipdExecutable(), "--config", config, "-v=2"];
  // The kernel of user-mode-linux has no nf_tables for IPv4.
  const env = isInside() ? { PATH: await legacyIptablesPath(`${directory}/tools`) } : {};
  const log = `${directory}/vipd.log`;
  return network.spawn("node-a", ["sh", "-c", 'exec "$@" >"$0" 2>&1', log, ...command], {
    stdin: "null",
    env,
  });
}

/** The source with the permissions of a release, or the executable that `VIPD` names. */
function vipdExecutable(): string[] {
  const executable = Deno.env.get("VIPD");
  if (executable) return [executable.startsWith("/") ? executable : `${ROOT}${executable}`];
  return [
    ...[Deno.execPath(), "run", "--no-check", "--cached-only", ...VIPD_PERMISSIONS],
    `${ROOT}src/main.ts`,
  ];
}

async function waitReady(agent: Agent, started: Started): Promise<void> {
  const question = { protocol: "http", host: "127.0.0.1", port: 10256, path: "/readyz" } as const;
  await waitFor({ what: "vipd", ...started }, async () => {
    const { hits } = await agent.ask({ ...question, count: 1, timeoutMs: 1_000 });
    const [text = ""] = Object.keys(hits);
    return /^(HTTP|refused|unreachable|silence|error)/.test(text) ? undefined : text;
  });
}

interface Started {
  readonly child: Deno.ChildProcess;
  readonly log: string;
}

async function waitFor(
  { what, child, log }: Started & { what: string },
  ask: () => Promise<string | undefined>,
): Promise<string> {
  const end = watchEnd(child);
  const limitMs = isInside() ? INSIDE_READY_LIMIT_MS : READY_LIMIT_MS;
  for (const begin = performance.now(); performance.now() - begin < limitMs;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (end.hasEnded) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const tail = (await readIfThere(log)).trim().split("\n").slice(-15).join("\n");
  throw new DemoError(`Cannot start ${what}. The end of its log:\n${tail}`);
}

function watchEnd(child: Deno.ChildProcess): { readonly hasEnded: boolean } {
  const end = { hasEnded: false };
  child.status.then(() => end.hasEnded = true);
  child.unref();
  return end;
}
