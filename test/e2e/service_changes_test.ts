/**
 * Services that are changed while they are used: type, ports, protocols, affinity, labels, traffic
 * policies, load balancers. The list is what the tests of Services in the Kubernetes project do.
 *
 * Run by `deno run -A test/e2e/run.ts --mode MODE`.
 */

import { deepEqual, equal, notEqual } from "node:assert/strict";
import { eventually, getOnce } from "../support/vipd.ts";
import { type Cluster, MODE, openCluster, tally, testEachFamily } from "./cluster.ts";
import { ADDRESSES, type Family } from "./topology.ts";
import { DNS, WEB, Workload } from "./workload.ts";

let cluster: Cluster;
let count = 50;

Deno.test.beforeAll(async () => {
  cluster = await openCluster();
});

Deno.test.afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

/** A test with a Service of its own. */
function change(title: string, test: (web: Workload, family: Family) => Promise<void>): void {
  testEachFamily(
    title,
    (family) => test(new Workload(cluster, { name: `web-${++count}`, n: count }), family),
  );
}

/** Of its own, so that nobody else answers there before the change has arrived. */
function nodePortOf({ n }: Workload): { readonly name: string; readonly nodePort: number } {
  return { ...WEB, nodePort: 30_500 + n };
}

/** The node port of a Service from outside. */
function atNode(web: Workload, { family, port }: { family: Family; port: number }) {
  return web.target(family, { host: ADDRESSES[family].node, port });
}

change("affinity is switched on, off, and on again", async (web, family) => {
  const target = web.target(family);
  const distinct = async () =>
    Object.keys(await tally(cluster, { client: "pod-a", target, count: 16 })).length;
  web.place(["pod-b", "far-1", "far-2"]);
  web.write({});
  await web.answers("pod-a", { target, by: ["pod-b", "far-1", "far-2"] });
  for (const affinity of ["ClientIP", "None", "ClientIP"]) {
    web.write({ sessionAffinity: affinity });
    await eventually(affinity, async () => {
      const found = await distinct();
      return (affinity === "None" ? found > 1 : found === 1) ? true : undefined;
    });
  }
});

/** Not IPVS: it keeps what it remembers of a client for as long as it said at first. */
if (MODE !== "ipvs") {
  change("affinity that is made shorter ends after that time", async (web, family) => {
    const target = web.target(family);
    const sticky = (timeoutSeconds: number) => ({
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds } },
    });
    web.place(["pod-b", "far-1", "far-2"]);
    web.write(sticky(10_800));
    await eventually(
      "somebody",
      async () => (await cluster.probe("pod-a", target)).kind === "answer" || undefined,
    );
    const before = await tally(cluster, { client: "pod-a", target, count: 6 });
    equal(Object.keys(before).length, 1);
    web.write(sticky(1));
    await eventually("somebody else", async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_600));
      const after = await tally(cluster, { client: "pod-a", target, count: 1 });
      return Object.keys(after)[0] !== Object.keys(before)[0] ? true : undefined;
    }, { timeoutMs: 30_000 });
  });
}

change("affinity holds for node ports too, and ends with its endpoint", async (web, family) => {
  web.place(["pod-b", "far-1"]);
  web.write({ type: "NodePort", sessionAffinity: "ClientIP", ports: [nodePortOf(web)] });
  const target = atNode(web, { family, port: 30_500 + web.n });
  await eventually(
    "somebody",
    async () => (await cluster.probe("outside", target)).kind === "answer" || undefined,
  );
  const hits = await tally(cluster, { client: "outside", target, count: 12 });
  deepEqual(Object.values(hits), [12]);
  const other = "far-1" in hits ? "pod-b" : "far-1";
  web.place([other]);
  await web.onlyAnswers("outside", { target, by: [other] });
  web.write({});
});

change("ExternalName, ClusterIP, NodePort, and back", async (web, family) => {
  const target = web.target(family);
  const port = atNode(web, { family, port: 30_500 + web.n });
  const nobody = { type: "ExternalName", externalName: "example.com" };
  const none = {
    clusterIP: "",
    clusterIPs: [],
    ipFamilies: [],
    ipFamilyPolicy: undefined,
    ports: [],
  };
  web.place(["pod-b"]);
  web.write({ ...none, ...nobody });
  web.write({});
  await web.answers("pod-a", { target, by: ["pod-b"] });
  web.write({ type: "NodePort", ports: [nodePortOf(web), DNS] });
  await web.answers("outside", { target: port, by: ["pod-b"] });
  await web.answers("pod-a", { target, by: ["pod-b"] });
  web.write({ type: "ClusterIP" });
  await web.answers("outside", { target: port, by: ["refused"] });
  await web.answers("pod-a", { target, by: ["pod-b"] });
  web.write({ ...none, ...nobody });
  await eventually("nobody", async () => {
    return (await cluster.probe("pod-a", target)).kind === "answer" ? undefined : true;
  });
});

change("ports come and go, and change their protocol", async (web, family) => {
  const udp = { protocol: "udp", port: 80 } as const;
  const bothNode = atNode(web, { family, port: 30_500 + web.n });
  web.place(["pod-b"]);
  web.write({ ports: [WEB] });
  await web.answers("pod-a", { target: web.target(family), by: ["pod-b"] });
  web.write({ ports: [{ ...WEB, port: 81 }] });
  await web.answers("pod-a", { target: web.target(family, { port: 81 }), by: ["pod-b"] });
  notEqual((await cluster.probe("pod-a", web.target(family, { timeoutMs: 300 }))).kind, "answer");
  web.write({ ports: [{ ...DNS, port: 80 }] });
  await web.answers("pod-a", { target: web.target(family, udp), by: ["pod-b"] });
  notEqual((await cluster.probe("pod-a", web.target(family, { timeoutMs: 300 }))).kind, "answer");
  web.write({ type: "NodePort", ports: [{ ...DNS, port: 80, nodePort: 30_500 + web.n }] });
  await web.answers("outside", { target: { ...bothNode, protocol: "udp" }, by: ["pod-b"] });
  web.write({
    type: "NodePort",
    ports: [{ ...DNS, port: 80, nodePort: 30_500 + web.n }, nodePortOf(web)],
  });
  await web.answers("outside", { target: bothNode, by: ["pod-b"] });
  await web.answers("outside", { target: { ...bothNode, protocol: "udp" }, by: ["pod-b"] });
  web.write({ type: "NodePort", ports: [{ ...nodePortOf(web), nodePort: 30_900 + web.n }] });
  await web.answers("outside", { target: { ...bothNode, port: 30_900 + web.n }, by: ["pod-b"] });
  await web.answers("outside", { target: bothNode, by: ["refused"] });
  web.write({});
});

const LABELS = [
  ["another proxy's", "service.kubernetes.io/service-proxy-name"],
  ["headless", "service.kubernetes.io/headless"],
] as const;

for (const [title, label] of LABELS) {
  change(`a service becomes ${title} by a label, and ours again`, async (web, family) => {
    const isSlice = label.endsWith("headless");
    const labels = { [label]: "" };
    const put = (given: object) => {
      web.write({ ports: [WEB] }, isSlice ? {} : { metadata: { labels: given } });
      web.place(["pod-b"], { labels: isSlice ? given : {} });
    };
    put({});
    await web.answers("pod-a", { target: web.target(family), by: ["pod-b"] });
    put(labels);
    await eventually("nobody", async () => {
      return (await cluster.probe("pod-a", web.target(family))).kind === "answer"
        ? undefined
        : true;
    });
    put({});
    await web.answers("pod-a", { target: web.target(family), by: ["pod-b"] });
    put(labels);
    web.write({ sessionAffinity: "ClientIP", ports: [WEB] });
    put({});
    await web.answers("pod-a", { target: web.target(family), by: ["pod-b"] });
  });
}

change(
  "a health check port follows the policy, and local endpoints that end",
  async (web, family) => {
    const host = ADDRESSES[family].node;
    const url = `http://${host.includes(":") ? `[${host}]` : host}:${32_000 + web.n}/healthz`;
    const spec = {
      type: "LoadBalancer",
      externalTrafficPolicy: "Local",
      healthCheckNodePort: 32_000 + web.n,
      ports: [nodePortOf(web)],
    };
    const status = (want: number | undefined) =>
      eventually(`status ${want}`, async () => (await getOnce(url))?.status === want || undefined);
    web.place(["pod-a", "far-1"]);
    web.write(spec);
    await status(200);
    deepEqual(JSON.parse((await getOnce(url))?.body ?? ""), {
      service: { namespace: "changes", name: web.name },
      localEndpoints: 1,
      serviceProxyHealthy: true,
    });
    const ending = { ready: false, serving: true, terminating: true };
    web.place([{ pod: "pod-a", conditions: ending }, "far-1"]);
    await status(503);
    await web.answers("outside", {
      target: atNode(web, { family, port: 30_500 + web.n }),
      by: ["pod-a"],
    });
    web.place(["far-1"]);
    await status(503);
    web.write({ ...spec, externalTrafficPolicy: "Cluster", healthCheckNodePort: undefined });
    await status(undefined);
    await web.answers("outside", {
      target: atNode(web, { family, port: 30_500 + web.n }),
      by: ["far-1"],
    });
    web.write(spec);
    await status(503);
    web.place(["pod-a", "far-1"]);
    await status(200);
    web.write({});
    await status(undefined);
  },
);

change(
  "ranges of a load balancer are changed, and it moves behind a proxy",
  async (web, family) => {
    const { external, outsideRange, otherRange } = ADDRESSES[family];
    const target = web.target(family, { host: external(web.n), timeoutMs: 600 });
    const balancer = (ranges: readonly string[], ipMode?: "VIP" | "Proxy") =>
      web.write(
        { type: "LoadBalancer", loadBalancerSourceRanges: ranges, ports: [WEB] },
        { status: web.balanced(ipMode) },
      );
    web.place(["pod-b"]);
    for (
      const [ranges, by] of [
        [[], "pod-b"],
        [[otherRange], "silence"],
        [[otherRange, outsideRange], "pod-b"],
        [[otherRange], "silence"],
        [[], "pod-b"],
      ] as const
    ) {
      balancer(ranges);
      await web.answers("outside", { target, by: [by] });
    }
    balancer([], "Proxy");
    await eventually("nobody", async () => {
      return (await cluster.probe("outside", target)).kind === "answer" ? undefined : true;
    });
    balancer([], "VIP");
    await web.answers("outside", { target, by: ["pod-b"] });
    web.write({}, { status: { loadBalancer: {} } });
  },
);
