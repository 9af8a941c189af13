/**
 * What clients see of Services, with real packets: who answers whom, whose address the server
 * sees, and what silence or refusal there is. topology.ts has the picture.
 *
 * Run by `deno run -A test/e2e/run.ts --mode MODE`.
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { eventually, getOnce } from "../support/vipd.ts";
import { type Cluster, MODE, openCluster, tally, testEachFamily } from "./cluster.ts";
import { service, slice } from "./objects.ts";
import { converse, type Target } from "./probe.ts";
import { ADDRESSES, type Client, FAMILIES, type Family, type Pod } from "./topology.ts";

/** Services by the last number of all their addresses and ports. */
const SERVICES: readonly {
  readonly n: number;
  readonly name: string;
  readonly pods: readonly Pod[];
  readonly spec: object;
}[] = [
  { n: 10, name: "both", pods: ["pod-b", "far-1"], spec: { type: "NodePort" } },
  {
    n: 11,
    name: "sticky",
    pods: ["pod-b", "far-1", "far-2"],
    spec: { sessionAffinity: "ClientIP" },
  },
  {
    n: 12,
    name: "local-out",
    pods: ["pod-a", "far-1"],
    spec: { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: 32012 },
  },
  {
    n: 13,
    name: "far-out",
    pods: ["far-1"],
    spec: { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: 32013 },
  },
  {
    n: 14,
    name: "open",
    pods: ["pod-b"],
    spec: {
      type: "LoadBalancer",
      loadBalancerSourceRanges: FAMILIES.map((family) => ADDRESSES[family].outsideRange),
    },
  },
  {
    n: 15,
    name: "closed",
    pods: ["pod-b"],
    spec: {
      type: "LoadBalancer",
      loadBalancerSourceRanges: FAMILIES.map((family) => ADDRESSES[family].otherRange),
    },
  },
  { n: 16, name: "nobody", pods: [], spec: { type: "NodePort" } },
  { n: 17, name: "near", pods: ["pod-b", "far-1"], spec: { internalTrafficPolicy: "Local" } },
  { n: 18, name: "near-none", pods: ["far-1"], spec: { internalTrafficPolicy: "Local" } },
  { n: 19, name: "self", pods: ["pod-a"], spec: {} },
  { n: 20, name: "external", pods: ["pod-b"], spec: { externalIPs: true } },
];

function objectsOf({ n, name, pods, spec }: (typeof SERVICES)[number]): object[] {
  const isPublic = "type" in spec;
  const isBalanced = isPublic && spec.type === "LoadBalancer";
  const web = { name: "web", port: 80, targetPort: 8080, protocol: "TCP" };
  const dns = { name: "dns", port: 53, targetPort: 5353, protocol: "UDP" };
  const external = FAMILIES.map((family) => ADDRESSES[family].external(n));
  return [
    {
      ...service(name, {
        clusterIP: ADDRESSES.IPv4.service(n),
        clusterIPs: FAMILIES.map((family) => ADDRESSES[family].service(n)),
        ipFamilyPolicy: "RequireDualStack",
        ...spec,
        ...("externalIPs" in spec && { externalIPs: external }),
        ports: isPublic
          ? [{ ...web, nodePort: 30_000 + n }, { ...dns, nodePort: 31_000 + n }]
          : [web, dns],
      }),
      ...(isBalanced && { status: { loadBalancer: { ingress: external.map((ip) => ({ ip })) } } }),
    },
    ...FAMILIES.map((family) => slice(name, { family, pods })),
  ];
}

type Way = "cluster" | "nodePort" | "external" | "localhost";

/** What is asked of a service, by which of its addresses. */
function targetOf(
  family: Family,
  { n, way, protocol = "tcp" }: { n: number; way: Way; protocol?: "tcp" | "udp" },
): Target {
  const a = ADDRESSES[family];
  const hosts = {
    cluster: a.service(n),
    external: a.external(n),
    nodePort: a.node,
    localhost: a.loopback,
  };
  const isNodePort = way === "nodePort" || way === "localhost";
  const first = protocol === "tcp" ? 80 : 53;
  const port = isNodePort ? (protocol === "tcp" ? 30_000 : 31_000) + n : first;
  return { protocol, host: hosts[way], port, timeoutMs: 1_000 };
}

let cluster: Cluster;

Deno.test.beforeAll(async () => {
  cluster = await openCluster();
  cluster.server.apply(...SERVICES.flatMap(objectsOf));
  const last = targetOf("IPv6", { n: 20, way: "cluster" });
  await eventually("the last service answers", async () => {
    return (await cluster.probe("pod-a", last)).kind === "answer" ? true : undefined;
  });
});

Deno.test.afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

/** Asks until everybody expected has answered, and nobody else has. */
async function expectAnswers(
  client: Client,
  { target, by }: { readonly target: Target; readonly by: readonly Pod[] },
): Promise<void> {
  const seen = new Set<string>();
  for (let i = 0; i < 40 && seen.size < by.length; i++) {
    const answer = await cluster.probe(client, target);
    seen.add(answer.kind === "answer" ? answer.by : answer.kind);
  }
  deepEqual([...seen].sort(), [...by].sort(), `${client} -> ${target.host}:${target.port}`);
}

const ANSWERED = [
  ["a pod", "ClusterIP", "pod-a", 10, "cluster", ["pod-b", "far-1"]],
  ["the node", "ClusterIP", "node", 10, "cluster", ["pod-b", "far-1"]],
  ["outside", "ClusterIP", "outside", 10, "cluster", ["pod-b", "far-1"]],
  ["outside", "node port", "outside", 10, "nodePort", ["pod-b", "far-1"]],
  ["a pod", "node port", "pod-a", 10, "nodePort", ["pod-b", "far-1"]],
  ["the node", "node port", "node", 10, "nodePort", ["pod-b", "far-1"]],
  ["outside", "external IP", "outside", 20, "external", ["pod-b"]],
  ["a pod", "external IP", "pod-a", 20, "external", ["pod-b"]],
  ["the node", "external IP", "node", 20, "external", ["pod-b"]],
  ["outside", "load balancer of policy Local", "outside", 12, "external", ["pod-a"]],
  ["outside", "node port of policy Local", "outside", 12, "nodePort", ["pod-a"]],
  ["a pod", "load balancer of policy Local", "pod-b", 12, "external", ["pod-a", "far-1"]],
  ["the node", "load balancer of policy Local", "node", 12, "external", ["pod-a", "far-1"]],
  ["outside", "load balancer with its range", "outside", 14, "external", ["pod-b"]],
  ["outside", "node port of a load balancer without its range", "outside", 15, "nodePort", [
    "pod-b",
  ]],
  ["a pod", "ClusterIP of internal policy Local", "pod-a", 17, "cluster", ["pod-b"]],
] as const;

/** ipvs has no short cut for local clients (etp-local, and skip lists of the scenario suite). */
function answeredBy(row: (typeof ANSWERED)[number]): readonly Pod[] {
  const [, , client, n, , by] = row;
  return MODE === "ipvs" && n === 12 && client !== "outside" ? ["pod-a"] : by;
}

for (const row of ANSWERED) {
  const [who, what, client, n, way] = row;
  for (const protocol of ["tcp", "udp"] as const) {
    const by = answeredBy(row);
    testEachFamily(
      `${who} reaches ${by.join(", ")} by ${what}, ${protocol}`,
      (family) => expectAnswers(client, { target: targetOf(family, { n, way, protocol }), by }),
    );
  }
}

const UNANSWERED = [
  ["a ClusterIP without endpoints is refused to a pod", "pod-a", 16, "cluster", "refused"],
  ["a ClusterIP without endpoints is refused to the node", "node", 16, "cluster", "refused"],
  ["a node port without endpoints is refused outside", "outside", 16, "nodePort", "refused"],
  ["a load balancer drops who is not in its ranges", "outside", 15, "external", "silence"],
] as const;

/** Over IPv6 Linux only believes the second refusal, a second later. */
function patientTargetOf(family: Family, what: { n: number; way: Way }): Target {
  return { ...targetOf(family, what), timeoutMs: 2_500 };
}

for (const [title, client, n, way, kind] of UNANSWERED) {
  testEachFamily(title, async (family) => {
    equal((await cluster.probe(client, patientTargetOf(family, { n, way }))).kind, kind);
  });
}

/**
 * ipvs falls back to endpoints elsewhere for external traffic; a ClusterIP has no real server then,
 * and IPVS refuses (README of the conformance cases, IPVS-19).
 */
const DROPPED = [
  ["policy Local without a local endpoint: node port", "outside", 13, "nodePort", "answer"],
  ["policy Local without a local endpoint: load balancer", "outside", 13, "external", "answer"],
  ["internal policy Local without a local endpoint", "pod-a", 18, "cluster", "refused"],
] as const;

for (const [title, client, n, way, inIpvs] of DROPPED) {
  const kind = MODE === "ipvs" ? inIpvs : "silence";
  testEachFamily(`${title}: ${kind}`, async (family) => {
    equal((await cluster.probe(client, patientTargetOf(family, { n, way }))).kind, kind);
  });
}

type Seen = "pod-a" | "outside" | "gateway";

/** Whose address the server sees. Masquerading to a pod takes the address of its gateway. */
const SOURCES: readonly (readonly [string, Client, number, Way, Seen])[] = [
  ["a pod keeps its address by ClusterIP", "pod-a", 20, "cluster", "pod-a"],
  ["outside is masqueraded by ClusterIP", "outside", 20, "cluster", "gateway"],
  ["outside is masqueraded by external IP", "outside", 20, "external", "gateway"],
  ["outside is masqueraded by a node port of policy Cluster", "outside", 15, "nodePort", "gateway"],
  [
    "outside keeps its address by a load balancer of policy Local",
    "outside",
    12,
    "external",
    "outside",
  ],
  [
    "outside keeps its address by a node port of policy Local",
    "outside",
    12,
    "nodePort",
    "outside",
  ],
  ["a pod that reaches itself is masqueraded (hairpin)", "pod-a", 19, "cluster", "gateway"],
];

for (const [title, client, n, way, seen] of SOURCES) {
  for (const protocol of ["tcp", "udp"] as const) {
    testEachFamily(`${title}, ${protocol}`, async (family) => {
      const a = ADDRESSES[family];
      const want = seen === "pod-a" ? a.pods["pod-a"] : a[seen];
      const answer = await cluster.probe(client, targetOf(family, { n, way, protocol }));
      deepEqual(answer.kind === "answer" ? answer.from : answer.kind, want);
    });
  }
}

testEachFamily("client affinity sends a client to the same endpoint", async (family) => {
  const target = targetOf(family, { n: 11, way: "cluster" });
  const hits = await tally(cluster, { client: "pod-a", target, count: 12 });
  deepEqual(Object.values(hits), [12]);
});

testEachFamily("endpoints are hit evenly", async (family) => {
  const target = targetOf(family, { n: 10, way: "cluster" });
  const hits = await tally(cluster, { client: "pod-a", target, count: 200 });
  // A fair coin is outside of 60..140 of 200 less often than once in 10^8.
  const near = hits["pod-b"] ?? 0;
  ok(near + (hits["far-1"] ?? 0) === 200 && near >= 60 && near <= 140, JSON.stringify(hits));
});

Deno.test({
  name: `${MODE}: a node port on 127.0.0.1 ${MODE === "iptables" ? "answers" : "does not answer"}`,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const target = targetOf("IPv4", { n: 10, way: "localhost" });
    const answer = await cluster.probe("node", target);
    equal(answer.kind === "answer", MODE === "iptables");
  },
});

testEachFamily("a health check port counts local endpoints and follows them", async (family) => {
  const host = ADDRESSES[family].node;
  const url = `http://${host.includes(":") ? `[${host}]` : host}:32012/`;
  equal((await getOnce(url))?.status, 200);
  equal((await getOnce(url.replace("32012", "32013")))?.status, 503);
  cluster.server.apply(slice("local-out", { family, pods: ["far-1"] }));
  await eventually("503", async () => (await getOnce(url))?.status === 503 ? true : undefined);
  cluster.server.apply(slice("local-out", { family, pods: ["pod-a", "far-1"] }));
  await eventually("200", async () => (await getOnce(url))?.status === 200 ? true : undefined);
});

testEachFamily("endpoints that come and go are followed at once", async (family) => {
  const target = { ...targetOf(family, { n: 19, way: "cluster" }), timeoutMs: 300 };
  cluster.server.apply(slice("self", { family, pods: ["far-2"] }));
  await eventually("far-2 answers", () => isAnsweredBy(target, "far-2"), { timeoutMs: 5_000 });
  cluster.server.apply(slice("self", { family, pods: [] }));
  await eventually("nobody answers", async () => {
    return (await cluster.probe("pod-b", target)).kind === "answer" ? undefined : true;
  }, { timeoutMs: 5_000 });
  cluster.server.apply(slice("self", { family, pods: ["pod-a"] }));
  await eventually("pod-a answers", () => isAnsweredBy(target, "pod-a"), { timeoutMs: 5_000 });
});

async function isAnsweredBy(target: Target, pod: Pod): Promise<true | undefined> {
  const answer = await cluster.probe("pod-b", target);
  return answer.kind === "answer" && answer.by === pod ? true : undefined;
}

testEachFamily("a UDP client moves on when its endpoint is replaced", async (family) => {
  const target = {
    ...targetOf(family, { n: 19, way: "cluster", protocol: "udp" }),
    localPort: 40_000,
    timeoutMs: 300,
  };
  await eventually("pod-a", () => isAnsweredBy(target, "pod-a"));
  cluster.server.apply(slice("self", { family, pods: ["far-2"] }));
  await eventually("far-2", () => isAnsweredBy(target, "far-2"), { timeoutMs: 8_000 });
  cluster.server.apply(slice("self", { family, pods: ["pod-a"] }));
  await eventually("pod-a again", () => isAnsweredBy(target, "pod-a"), { timeoutMs: 8_000 });
});

testEachFamily(
  "a service that is deleted no longer answers, one that is created does",
  async (family) => {
    const reference = { apiVersion: "v1", kind: "Service", namespace: "flows", name: "external" };
    const target = { ...targetOf(family, { n: 20, way: "nodePort" }), timeoutMs: 300 };
    const clusterTarget = { ...targetOf(family, { n: 20, way: "cluster" }), timeoutMs: 300 };
    const written = SERVICES.filter(({ name }) => name === "external");
    cluster.server.delete(reference);
    await eventually("silence", async () => {
      return (await cluster.probe("pod-a", clusterTarget)).kind === "answer" ? undefined : true;
    }, { timeoutMs: 5_000 });
    const withNodePort = written.map((one) => ({ ...one, spec: { type: "NodePort" } }));
    cluster.server.apply(...withNodePort.flatMap(objectsOf));
    await eventually("the node port answers", () => isAnsweredBy(target, "pod-b"));
    cluster.server.delete(reference);
    cluster.server.apply(...written.flatMap(objectsOf));
    await eventually("as before", () => isAnsweredBy(clusterTarget, "pod-b"));
    await eventually("the node port is closed", async () => {
      return (await cluster.probe("outside", target)).kind === "answer" ? undefined : true;
    }, { timeoutMs: 5_000 });
  },
);

testEachFamily(
  "connections live through a vipd that is killed, and services answer meanwhile",
  async (family) => {
    const { host, port } = targetOf(family, { n: 10, way: "nodePort" });
    using conversation = await converse(host, port);
    equal(conversation.answer.kind, "answer");
    ok(await conversation.say("before"));
    await cluster.vipd.end("SIGKILL");
    ok(await conversation.say("while it is gone"));
    await expectAnswers("pod-a", {
      target: targetOf(family, { n: 10, way: "cluster" }),
      by: ["pod-b", "far-1"],
    });
    await cluster.restart("SIGKILL");
    ok(await conversation.say("after"));
    equal(
      (await cluster.probe("pod-a", targetOf(family, { n: 14, way: "cluster" }))).kind,
      "answer",
    );
  },
);

testEachFamily("what changed while vipd was away is there after its start", async (family) => {
  const target = targetOf(family, { n: 19, way: "cluster" });
  await cluster.vipd.end("SIGTERM");
  cluster.server.apply(slice("self", { family, pods: ["far-1"] }));
  ok(await isAnsweredBy(target, "pod-a"), "rules stay");
  await cluster.restart("SIGTERM");
  await eventually("far-1 answers", () => isAnsweredBy(target, "far-1"));
  cluster.server.apply(slice("self", { family, pods: ["pod-a"] }));
  await eventually("pod-a answers", () => isAnsweredBy(target, "pod-a"));
});
