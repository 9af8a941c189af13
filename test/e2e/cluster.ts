/**
 * The cluster of topology.ts, running: API server, servers in pods, vipd on the node.
 *
 * @module
 */

import { type ApiServer, startApiServer } from "../support/apiserver/mod.ts";
import { type Network, openNetwork } from "../support/netns.ts";
import { eventually, getOnce, Vipd } from "../support/vipd.ts";
import { type Agent, startAgent } from "./agent.ts";
import { nodes } from "./objects.ts";
import { type Answer, probe, type Target } from "./probe.ts";
import { ADDRESSES, type Client, FAMILIES, type Family, TOPOLOGY } from "./topology.ts";

/** How a cluster is started. */
export interface ClusterOptions {
  /** Default: that of the environment, see {@linkcode MODE}. */
  readonly mode?: string;
  /** For vipd. */
  readonly env?: Readonly<Record<string, string>>;
  /** Replaces fields of the configuration. */
  readonly config?: object;
  /** False: the test starts vipd itself. Default true. */
  readonly start?: boolean;
}

/** The proxy mode under test: `VIPD_MODE`, default iptables. */
export const MODE = Deno.env.get("VIPD_MODE") ?? "iptables";

/** How vipd is started again. */
export interface RestartOptions {
  /** Default: that of the cluster. */
  readonly env?: Readonly<Record<string, string>>;
  /** Replaces fields of the configuration, from now on. */
  readonly config?: object;
  /** False: not ready yet when the promise resolves. Default true. */
  readonly waits?: boolean;
}

/** A test for each family. The cluster is for all of them, so what a test opens may outlive it. */
export function testEachFamily(title: string, test: (family: Family) => Promise<void>): void {
  for (const family of FAMILIES) {
    Deno.test({
      name: `${MODE} ${family}: ${title}`,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: () => test(family),
    });
  }
}

/** Makes namespaces, API server and servers, and starts vipd. Needs its own namespace: run.ts. */
export async function openCluster(options: ClusterOptions = {}): Promise<Cluster> {
  await requireOwnNamespace();
  await using stack = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir({ prefix: `vipd-e2e-${Deno.pid}-` });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const network = stack.use(await openNetwork(TOPOLOGY));
  const server = stack.use(
    await startApiServer({
      host: ADDRESSES.IPv4.outside,
      port: 6443,
      serviceRanges: ["172.30.0.0/16", "fd00:172:30::/108"],
    }),
  );
  server.apply(...nodes());
  const { "proxy.kubeconfig": kubeconfig } = await server.writeFiles(`${directory}/credentials`);
  const agents = new Map<string, Agent>();
  for (const namespace of TOPOLOGY.namespaces) {
    agents.set(namespace, stack.use(startAgent(network, namespace)));
  }
  await servePods(agents);
  const config = { ...configuration(options, kubeconfig), ...options.config };
  const env = options.env ?? {};
  const cluster = new Cluster({ network, server, directory, agents, config, env });
  stack.use(cluster);
  if (options.start ?? true) await cluster.restart("SIGTERM");
  cluster.own(stack.move());
  return cluster;
}

interface Parts {
  readonly network: Network;
  readonly server: ApiServer;
  /** For logs and shims. */
  readonly directory: string;
  readonly agents: ReadonlyMap<string, Agent>;
  readonly config: object;
  readonly env: Readonly<Record<string, string>>;
}

/** A running cluster. */
export class Cluster implements AsyncDisposable {
  readonly network: Network;
  readonly server: ApiServer;
  /** For logs and shims. */
  readonly directory: string;
  readonly #parts: Parts;
  #config: object;
  #vipd: Vipd | undefined;
  #owned: AsyncDisposableStack | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#config = parts.config;
    this.network = parts.network;
    this.server = parts.server;
    this.directory = parts.directory;
  }

  /** The running vipd. Throws before the first start. */
  get vipd(): Vipd {
    if (!this.#vipd) throw new Error("vipd was not started");
    return this.#vipd;
  }

  /** Ends vipd by a signal, starts it again, waits until it is ready. */
  async restart(
    signal: "SIGTERM" | "SIGKILL",
    { env = this.#parts.env, config: changes = {}, waits = true }: RestartOptions = {},
  ): Promise<void> {
    await this.#vipd?.end(signal);
    const { network, directory } = this.#parts;
    const config = this.#config = { ...this.#config, ...changes };
    const args = ["-v=2"];
    this.#vipd = await Vipd.start({ network, namespace: "node", directory, args, env, config });
    if (waits) await this.ready();
  }

  /** Asks once. */
  async probe(client: Client, target: Target): Promise<Answer> {
    if (client === "outside") return await probe(target);
    return await this.#parts.agents.get(client)?.probe(target) ?? { kind: "silence" };
  }

  /** Waits for `/readyz`. */
  async ready(timeoutMs = 60_000): Promise<void> {
    await eventually("vipd is ready", async () => {
      if (this.vipd.status) throw new Error(`vipd ended: ${await this.vipd.logTail(20)}`);
      return await this.health("/readyz") === 200 ? true : undefined;
    }, { timeoutMs });
  }

  /** Value of a metric, e.g. `name{ip_family="IPv4"}`; the sum over label sets. */
  async metric(name: string): Promise<number> {
    return await readMetric(this.network, name);
  }

  /** Status of a path of the health server; undefined when nobody answers. */
  async health(path: string): Promise<number | undefined> {
    return (await getOnce(`http://${ADDRESSES.IPv4.node}:10256${path}`))?.status;
  }

  /** What goes with it. */
  own(stack: AsyncDisposableStack): void {
    this.#owned = stack;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#vipd?.end("SIGKILL");
    const owned = this.#owned;
    this.#owned = undefined;
    await owned?.disposeAsync();
  }
}

/** Links and servers belong into a namespace that is thrown away, never into the host's. */
async function requireOwnNamespace(): Promise<void> {
  const name = Deno.env.get("VIPD_OUTSIDE") ?? "";
  const [own, meant] = await Promise.all(
    ["/proc/self/ns/net", `/run/netns/${name}`].map((path) => Deno.stat(path)),
  );
  if (name === "" || own?.ino !== meant?.ino) {
    throw new Error("Flow tests make links and servers: run them by test/e2e/run.ts");
  }
}

function configuration({ mode = MODE }: ClusterOptions, kubeconfig = ""): object {
  return {
    mode,
    hostnameOverride: "here",
    clientConnection: { kubeconfig },
    clusterCIDR: `${ADDRESSES.IPv4.clusterCidr},${ADDRESSES.IPv6.clusterCidr}`,
    metricsBindAddress: "0.0.0.0:10249",
    healthzBindAddress: "0.0.0.0:10256",
    // nf_conntrack_max belongs to the first namespace
    conntrack: { maxPerCore: 0, min: 0, tcpCloseWaitTimeout: "0s", tcpEstablishedTimeout: "0s" },
  };
}

async function servePods(agents: ReadonlyMap<string, Agent>): Promise<void> {
  await Promise.all(
    FAMILIES.flatMap((family) =>
      Object.entries(ADDRESSES[family].pods).flatMap(([name, host]) => {
        const agent = agents.get(name.startsWith("far") ? "remote" : name);
        return [
          agent?.serve({ protocol: "tcp", host, port: 8080, name }),
          agent?.serve({ protocol: "udp", host, port: 5353, name }),
        ];
      })
    ),
  );
}

async function readMetric(network: Network, name: string): Promise<number> {
  const text = await network.run("node", ["curl", "-sSf", "http://127.0.0.1:10249/metrics"]);
  const [base = "", labels = ""] = name.replace("}", "").split("{");
  const wanted = labels === "" ? [] : labels.split(",");
  const found = text.split("\n").filter((line) =>
    new RegExp(`^${RegExp.escape(base)}[{ ]`).test(line) &&
    wanted.every((label) => line.includes(label))
  );
  return found.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** Asks `count` times. Returns how often who answered, or `refused`, `silence`. */
export async function tally(
  cluster: Cluster,
  { client, target, count }: { client: Client; target: Target; count: number },
): Promise<Readonly<Record<string, number>>> {
  const hits: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const answer = await cluster.probe(client, target);
    const who = answer.kind === "answer" ? answer.by : answer.kind;
    hits[who] = (hits[who] ?? 0) + 1;
  }
  return hits;
}
