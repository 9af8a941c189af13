/**
 * What only ipvs mode does to traffic: exact round robin, real servers that drain, node ports on
 * addresses that come later, SCTP. topology.ts has the picture.
 *
 * Run by `deno run -A test/e2e/run.ts --mode ipvs`; the other modes have nothing here.
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { eventually } from "../support/vipd.ts";
import { type Cluster, MODE, openCluster, tally } from "./cluster.ts";
import { service, slice } from "./objects.ts";
import { ADDRESSES, FAMILIES, type Family, type Pod } from "./topology.ts";

/**
 * Services by the last number of their addresses. A connection that ended is remembered for two
 * minutes, so what drains needs a Service that nobody else has asked.
 */
const TURNS = { name: "turns", n: 40 };
const DRAINED = { name: "drained", n: 41 };

type Staged = typeof TURNS;

function objects({ name, n }: Staged, pods: readonly Pod[]): object[] {
  const web = { name: "web", port: 80, targetPort: 8080, protocol: "TCP", nodePort: 30_000 + n };
  const sctp = { name: "sctp", port: 5060, targetPort: 5060, protocol: "SCTP" };
  return [
    service(name, {
      type: "NodePort",
      clusterIP: ADDRESSES.IPv4.service(n),
      clusterIPs: FAMILIES.map((family) => ADDRESSES[family].service(n)),
      ipFamilyPolicy: "RequireDualStack",
      ports: [web, sctp],
    }),
    ...FAMILIES.map((family) => sliceOf(name, { family, pods })),
  ];
}

function sliceOf(name: string, where: { family: Family; pods: readonly Pod[] }): object {
  const ports = [
    { name: "web", port: 8080, protocol: "TCP" },
    { name: "sctp", port: 5060, protocol: "SCTP" },
  ];
  return { ...slice(name, where), ports };
}

let cluster: Cluster;

function defineTests(): void {
  Deno.test.beforeAll(async () => {
    cluster = await openCluster();
    const both = ["pod-b", "far-1"] as const;
    cluster.server.apply(...objects(DRAINED, both), ...objects(TURNS, both));
    await eventually("the service answers", async () => {
      const hits = await tally(cluster, {
        client: "pod-a",
        target: webOf("IPv6", TURNS),
        count: 2,
      });
      return hits["far-1"] === 1 ? true : undefined;
    });
  });
  Deno.test.afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });
  for (const family of FAMILIES) {
    flow(`${family}: round robin is exact`, () => takeTurns(family));
    flow(`${family}: a connection outlives its endpoint, and vipd`, () => drain(family));
    flow(`${family}: a node port answers on an address that comes later`, () => newAddress(family));
    flow(`${family}: SCTP by ClusterIP`, () => speakSctp(family));
  }
}

function flow(title: string, fn: () => Promise<void>): void {
  Deno.test({ name: `ipvs ${title}`, sanitizeOps: false, sanitizeResources: false, fn });
}

function webOf(family: Family, { n }: Staged): { protocol: "tcp"; host: string; port: number } {
  return { protocol: "tcp", host: ADDRESSES[family].service(n), port: 80 };
}

async function takeTurns(family: Family): Promise<void> {
  const hits = await tally(cluster, { client: "pod-a", target: webOf(family, TURNS), count: 20 });
  deepEqual(hits, { "pod-b": 10, "far-1": 10 });
}

/** Real servers of the Service that drains as `ipvsadm -Sn` prints them, without the server. */
async function realServers(family: Family): Promise<string[]> {
  const { host } = webOf(family, DRAINED);
  const server = `${host.includes(":") ? `[${host}]` : host}:80`;
  const saved = await cluster.network.run("node", ["ipvsadm", "-Sn"]);
  return saved.split("\n").filter((line) => line.startsWith(`-a -t ${server} `))
    .map((line) => line.replace(/^.* -r /, "")).sort();
}

async function drain(family: Family): Promise<void> {
  const far = `${family === "IPv6" ? `[${ADDRESSES.IPv6.pods["far-1"]}]` : "10.1.2.21"}:8080`;
  const socket = await connectTo("far-1", webOf(family, DRAINED));
  cluster.server.apply(sliceOf(DRAINED.name, { family, pods: ["pod-b"] }));
  await eventually("weight 0", async () => {
    return (await realServers(family)).includes(`${far} -m -w 0`) ? true : undefined;
  });
  const hits = await tally(cluster, { client: "pod-a", target: webOf(family, DRAINED), count: 6 });
  deepEqual(hits, { "pod-b": 6 });
  equal(await echo(socket, "drained"), "drained");
  await cluster.restart("SIGKILL");
  equal(await echo(socket, "restarted"), "restarted");
  ok((await realServers(family)).includes(`${far} -m -w 0`));
  socket.resetAndDestroy();
  // IPVS remembers a connection that was reset for 10 s.
  await eventually("deleted", async () => {
    return (await realServers(family)).length === 1 ? true : undefined;
  }, { timeoutMs: 40_000 });
  cluster.server.apply(sliceOf(DRAINED.name, { family, pods: ["pod-b", "far-1"] }));
  await eventually("weight 1", async () => {
    return (await realServers(family)).includes(`${far} -m -w 1`) ? true : undefined;
  });
}

/** A connection to one of the pods; others are hung up. */
async function connectTo(
  pod: Pod,
  { host, port }: { host: string; port: number },
): Promise<Socket> {
  for (let i = 0; i < 4; i++) {
    const socket = connect({ host, port });
    const greeting = await new Promise<string>((resolve, reject) => {
      socket.once("data", (data) => resolve(data.toString()));
      socket.once("error", reject);
    });
    if (greeting.startsWith(`${pod} `)) return socket;
    socket.resetAndDestroy();
  }
  throw new Error(`${pod} does not answer`);
}

function echo(socket: Socket, word: string): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once("data", (data) => resolve(data.toString()));
    socket.once("error", reject);
    socket.write(word);
  });
}

async function newAddress(family: Family): Promise<void> {
  const host = family === "IPv4" ? "192.168.0.77" : "fd00:192::77";
  const option = family === "IPv4" ? "" : " nodad";
  const words = `ip addr add ${host}/${family === "IPv4" ? 32 : 128} dev n0${option}`.split(" ");
  await cluster.network.run("node", words);
  const target = { protocol: "tcp" as const, host, port: 30_040, timeoutMs: 500 };
  await eventually("the node port answers", async () => {
    return (await cluster.probe("outside", target)).kind === "answer" ? true : undefined;
  }, { timeoutMs: 60_000 });
}

async function speakSctp(family: Family): Promise<void> {
  const program = new URL("sctp.ts", import.meta.url).pathname;
  const run = [Deno.execPath(), "run", "-A", "--no-check", "--cached-only", program];
  const pod = ADDRESSES[family].pods["pod-b"];
  cluster.server.apply(sliceOf(TURNS.name, { family, pods: ["pod-b"] }));
  const server = cluster.network.spawn("pod-b", [...run, "serve", pod, "5060", "pod-b"], {
    stdout: "piped",
  });
  try {
    const first = await server.stdout.getReader().read();
    match(new TextDecoder().decode(first.value), /listening/);
    const said = await eventually("an answer", async () => {
      const command = [...run, "ask", ADDRESSES[family].service(TURNS.n), "5060"];
      const { code, stdout } = await cluster.network.exec("pod-a", command);
      return code === 0 && stdout !== "" ? stdout : undefined;
    }, { timeoutMs: 60_000 });
    equal(said, "pod-b\n");
  } finally {
    server.kill("SIGKILL");
    await server.status;
  }
}

if (MODE === "ipvs") defineTests();
