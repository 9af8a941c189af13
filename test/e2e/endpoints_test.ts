/**
 * Who serves, when the endpoints of a Service are in every condition they can have: going, not
 * ready, none, hinted, written by hand, on the network of the node. The list is what the tests of
 * Services in the Kubernetes project do.
 *
 * Run by `deno run -A test/e2e/run.ts --mode MODE`.
 */

import { equal, notEqual, ok } from "node:assert/strict";
import { eventually } from "../support/vipd.ts";
import { startAgent } from "./agent.ts";
import { type Cluster, MODE, openCluster, testEachFamily } from "./cluster.ts";
import { nodes } from "./objects.ts";
import { ADDRESSES, FAMILIES, type Family, type Pod } from "./topology.ts";
import { DNS, type Place, WEB, Workload } from "./workload.ts";

let cluster: Cluster;
let count = 100;

Deno.test.beforeAll(async () => {
  cluster = await openCluster();
});

Deno.test.afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

/** A test with a Service of its own. */
function endpoints(title: string, test: (web: Workload, family: Family) => Promise<void>): void {
  testEachFamily(title, async (family) => {
    const web = new Workload(cluster, { name: `web-${++count}`, n: count });
    await test(web, family);
    const name = { namespace: "changes", name: web.name };
    cluster.server.delete({ apiVersion: "v1", kind: "Service", ...name });
  });
}

const ENDING = { ready: false, serving: true, terminating: true };
const ENDED = { ready: false, serving: false, terminating: true };
const UNREADY = { ready: false, serving: false, terminating: false };

const ending = (pod: Pod): Place => ({ pod, conditions: ENDING });

endpoints("pods that end serve as long as nobody else does", async (web, family) => {
  const target = web.target(family, { timeoutMs: 2_500 });
  web.write({ ports: [WEB] });
  web.place([ending("pod-b"), "far-1"]);
  await web.onlyAnswers("pod-a", { target, by: ["far-1"] });
  web.place([ending("pod-b"), { pod: "far-1", conditions: UNREADY }]);
  await web.onlyAnswers("pod-a", { target, by: ["pod-b"] });
  web.place([{ pod: "pod-b", conditions: ENDED }, { pod: "far-1", conditions: UNREADY }]);
  await web.answers("pod-a", { target, by: ["refused"] });
  await web.answers("node", { target, by: ["refused"] });
});

endpoints(
  "pods that are published though not ready serve, also while they end",
  async (web, family) => {
    web.write({ ports: [WEB] });
    web.place([{ pod: "pod-b", conditions: { ready: true, serving: true, terminating: true } }]);
    await web.answers("pod-a", { target: web.target(family), by: ["pod-b"] });
    web.place([{ pod: "far-1", conditions: { ready: true, serving: false, terminating: false } }]);
    await web.answers("pod-a", { target: web.target(family), by: ["far-1"] });
  },
);

endpoints(
  "of policy Local, pods of this node that end go before ready ones elsewhere",
  async (web, family) => {
    const port = web.target(family, { host: ADDRESSES[family].node, port: 30_600 + web.n });
    web.write({
      type: "NodePort",
      externalTrafficPolicy: "Local",
      internalTrafficPolicy: "Local",
      ports: [{ ...WEB, nodePort: 30_600 + web.n }],
    });
    web.place([ending("pod-b"), "far-1"]);
    await web.onlyAnswers("outside", { target: port, by: ["pod-b"] });
    await web.onlyAnswers("pod-a", { target: web.target(family), by: ["pod-b"] });
    await web.onlyAnswers("node", { target: web.target(family), by: ["pod-b"] });
    web.place([ending("pod-b"), "pod-a", "far-1"]);
    await web.onlyAnswers("outside", { target: port, by: ["pod-a"] });
    await web.onlyAnswers("node", { target: web.target(family), by: ["pod-a"] });
  },
);

endpoints("the last endpoint that goes is refused at once, on all ways", async (web, family) => {
  const port = web.target(family, {
    host: ADDRESSES[family].node,
    port: 30_600 + web.n,
    timeoutMs: 2_500,
  });
  const external = web.target(family, {
    host: ADDRESSES[family].external(web.n),
    timeoutMs: 2_500,
  });
  web.write({
    type: "LoadBalancer",
    externalIPs: FAMILIES.map((each) => ADDRESSES[each].external(web.n)),
    ports: [{ ...WEB, nodePort: 30_600 + web.n }],
  });
  for (let i = 0; i < 2; i++) {
    web.place(["pod-b"]);
    await web.answers("outside", { target: port, by: ["pod-b"] });
    await web.answers("outside", { target: external, by: ["pod-b"] });
    web.place([]);
    await web.answers("pod-a", {
      target: web.target(family, { timeoutMs: 2_500 }),
      by: ["refused"],
    });
    await web.answers("outside", { target: port, by: ["refused"] });
    await web.answers("node", { target: port, by: ["refused"] });
    await web.answers("outside", { target: external, by: ["refused"] });
  }
});

endpoints("hints of nodes and zones are followed while they are complete", async (web, family) => {
  const [here, there] = nodes();
  const zone = (name: string) => ({
    ...here,
    metadata: { ...metadataOf(here), labels: { "topology.kubernetes.io/zone": name } },
  });
  const hint = (pod: Pod, ...[forZones, forNodes]: readonly string[]): Place => ({
    pod,
    hints: {
      forZones: [{ name: forZones }],
      ...(forNodes && { forNodes: [{ name: forNodes }] }),
    },
  });
  cluster.server.apply(zone("east"), there ?? {});
  web.write({ ports: [WEB], trafficDistribution: "PreferSameZone" });
  web.place([hint("pod-b", "west"), hint("far-1", "east"), hint("far-2", "east")]);
  await web.onlyAnswers("pod-a", { target: web.target(family), by: ["far-1", "far-2"] });
  cluster.server.apply(zone("west"));
  await web.onlyAnswers("pod-a", { target: web.target(family), by: ["pod-b"] });
  web.place([
    hint("pod-b", "west", "here"),
    hint("pod-a", "west", "there"),
    hint("far-1", "east", "there"),
  ]);
  await web.onlyAnswers("pod-a", { target: web.target(family), by: ["pod-b"] });
  web.place([hint("pod-b", "west", "there"), hint("far-1", "east", "there")]);
  await web.onlyAnswers("pod-a", { target: web.target(family), by: ["pod-b"] });
  web.place([hint("pod-b", "west"), "far-1"]);
  await web.onlyAnswers("pod-a", { target: web.target(family), by: ["pod-b", "far-1"] });
  web.place([hint("far-1", "south")]);
  await web.onlyAnswers("pod-a", { target: web.target(family), by: ["far-1"] });
  cluster.server.apply(here ?? {});
});

function metadataOf(object: object = {}): object {
  return "metadata" in object && typeof object.metadata === "object" ? object.metadata ?? {} : {};
}

endpoints(
  "slices by hand: one for each port, no conditions, no node, no name",
  async (web, family) => {
    const slice = (name: string, port: object) => ({
      ...web.slice(family, { places: [] }),
      metadata: {
        namespace: "changes",
        name: `${web.name}-${name}`,
        labels: { "kubernetes.io/service-name": web.name },
      },
      ports: [port],
      endpoints: [{ addresses: [ADDRESSES[family].pods["far-1"]] }],
    });
    web.write({ ports: [{ ...WEB, port: 80 }, { ...WEB, name: "more", port: 81 }] });
    cluster.server.apply(slice("a", { name: "web", port: 8080 }));
    await web.answers("pod-a", { target: web.target(family), by: ["far-1"] });
    await web.answers("pod-a", {
      target: web.target(family, { port: 81, timeoutMs: 2_500 }),
      by: ["refused"],
    });
    cluster.server.apply(slice("b", { name: "more", port: 8080, protocol: "TCP" }));
    await web.answers("pod-a", { target: web.target(family, { port: 81 }), by: ["far-1"] });
    web.write({ ports: [{ port: 80, targetPort: 8080 }] });
    cluster.server.apply(slice("a", { name: "", port: 8080 }));
    await web.answers("pod-a", { target: web.target(family), by: ["far-1"] });
  },
);

endpoints("a pod reaches itself by its node's port and by a load balancer", async (web, family) => {
  web.place(["pod-a"]);
  const host = ADDRESSES[family].external(web.n);
  for (const externalTrafficPolicy of ["Cluster", "Local"]) {
    web.write(
      {
        type: "LoadBalancer",
        externalTrafficPolicy,
        ports: [{ ...WEB, nodePort: 30_600 + web.n }],
      },
      { status: web.balanced() },
    );
    for (const way of [{ host }, { host: ADDRESSES[family].node, port: 30_600 + web.n }]) {
      await web.answers("pod-a", { target: web.target(family, way), by: ["pod-a"] });
    }
  }
});

endpoints("a server on the network of the node is an endpoint like others", async (web, family) => {
  const { node, outside } = ADDRESSES[family];
  await using agent = startAgent(cluster.network, "node");
  const port = family === "IPv4" ? 9_080 : 9_081;
  await agent.serve({ protocol: "tcp", host: node, port, name: "host" });
  await agent.serve({ protocol: "udp", host: node, port, name: "host" });
  cluster.server.apply({
    ...web.slice(family, { places: [] }),
    ports: [{ name: "web", port }, { name: "dns", port, protocol: "UDP" }],
    endpoints: [{ addresses: [node], nodeName: "here" }],
  });
  const ports = [{ ...WEB, nodePort: 30_600 + web.n }, { ...DNS, nodePort: 30_600 + web.n }];
  web.write({ type: "NodePort", ports });
  for (const protocol of ["tcp", "udp"] as const) {
    const target = web.target(family, { protocol, port: protocol === "tcp" ? 80 : 53 });
    for (const client of ["pod-a", "node", "outside"] as const) {
      await web.answers(client, { target, by: ["host"] });
      await web.answers(client, {
        target: { ...target, host: node, port: 30_600 + web.n },
        by: ["host"],
      });
    }
  }
  equal(await web.seen("pod-a", web.target(family)), ADDRESSES[family].pods["pod-a"]);
  web.write({ type: "NodePort", externalTrafficPolicy: "Local", ports });
  const byPort = web.target(family, { host: node, port: 30_600 + web.n });
  await eventually(
    "outside is seen",
    async () => await web.seen("outside", byPort) === outside || undefined,
  );
});

const BLACK_HOLES = [
  ["a pod", "pod-a", false],
  ["the node", "node", false],
  ["a client outside by a node port", "outside", true],
  ["the node by a node port", "node", true],
] as const;

for (const [who, client, isNodePort] of BLACK_HOLES) {
  endpoints(
    `UDP of ${who} that was sent into nothing finds its server once there is one`,
    async (web, family) => {
      const nodePort = 30_600 + web.n;
      const target = web.target(family, {
        protocol: "udp",
        localPort: 41_000 + web.n,
        timeoutMs: 250,
        ...(isNodePort ? { host: ADDRESSES[family].node, port: nodePort } : { port: 53 }),
      });
      const spec = { type: "NodePort", ports: [WEB, { ...DNS, nodePort }] };
      const keepsAsking = async () => {
        notEqual((await cluster.probe(client, target)).kind, "answer");
        await new Promise((resolve) => setTimeout(resolve, 50)); // the port is free then
      };
      await keepsAsking(); // no Service yet
      web.write(spec);
      for (let i = 0; i < 3; i++) await keepsAsking();
      web.place([{ pod: "pod-b", conditions: UNREADY }]);
      for (let i = 0; i < 3; i++) await keepsAsking();
      for (const pod of ["pod-b", "far-1", "pod-b"] as const) {
        web.place([pod]);
        await web.answers(client, { target, by: [pod] });
      }
      web.place([]);
      await web.answers(client, { target, by: ["silence"] });
      web.place(["far-2"]);
      await web.answers(client, { target, by: ["far-2"] });
      if (MODE === "iptables" || MODE === "nftables") {
        const deleted = await cluster.metric(
          "kubeproxy_conntrack_reconciler_deleted_entries_total",
        );
        ok(deleted > 0);
      }
    },
  );
}

endpoints("UDP follows a service whose target port changes", async (web, family) => {
  const host = ADDRESSES[family].pods["far-2"];
  const slice = (port: number) => ({
    ...web.slice(family, { places: [{ pod: "far-2" }] }),
    ports: [{ name: "dns", port, protocol: "UDP" }],
  });
  await using agent = startAgent(cluster.network, "remote");
  await agent.serve({ protocol: "udp", host, port: 5_454, name: "moved" });
  web.write({ type: "NodePort", ports: [{ ...DNS, nodePort: 30_600 + web.n }] });
  const target = web.target(family, {
    protocol: "udp",
    host: ADDRESSES[family].node,
    port: 30_600 + web.n,
    localPort: 42_000 + web.n,
    timeoutMs: 300,
  });
  cluster.server.apply(slice(5_353));
  await web.answers("outside", { target, by: ["far-2"] });
  cluster.server.apply(slice(5_454));
  await web.answers("outside", { target, by: ["moved"] });
});
