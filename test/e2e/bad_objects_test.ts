/**
 * Objects that nobody should write, and names that look like rules: they harm nobody else, and no
 * name adds, ends or changes a rule.
 *
 * Run by `deno run -A test/e2e/run.ts --mode MODE`.
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { eventually } from "../support/vipd.ts";
import { type Cluster, MODE, openCluster } from "./cluster.ts";
import { service, slice } from "./objects.ts";
import { ADDRESSES, type Pod } from "./topology.ts";

const GOOD = {
  protocol: "tcp",
  host: ADDRESSES.IPv4.service(40),
  port: 80,
  timeoutMs: 500,
} as const;

let cluster: Cluster;

Deno.test.beforeAll(async () => {
  cluster = await openCluster();
  cluster.server.apply(service("good", { clusterIP: GOOD.host }), slicesOf("pod-b"));
  await follows("pod-b");
});

Deno.test.afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

function slicesOf(pod: Pod): object {
  return slice("good", { family: "IPv4", pods: [pod] });
}

async function follows(pod: Pod): Promise<void> {
  await eventually(`${pod} answers`, async () => {
    const answer = await cluster.probe("pod-a", GOOD);
    return answer.kind === "answer" && answer.by === pod ? true : undefined;
  });
}

interface Names {
  readonly namespace?: string;
  readonly name?: string;
  readonly port?: string;
  readonly label?: string;
}

/** A pair as nobody would accept it; its ClusterIP and endpoint are fine. */
function strangers(
  { namespace = "bad", name = "bad", port = "web", label = name }: Names,
): object[] {
  const metadata = { namespace, name, uid: crypto.randomUUID() };
  const ports = [{ name: port, port: 80, targetPort: 8080, protocol: "TCP" }];
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: {
        type: "ClusterIP",
        clusterIP: ADDRESSES.IPv4.service(41),
        clusterIPs: [ADDRESSES.IPv4.service(41)],
        ipFamilies: ["IPv4"],
        ipFamilyPolicy: "SingleStack",
        internalTrafficPolicy: "Cluster",
        sessionAffinity: "None",
        ports,
      },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        ...metadata,
        name: "bad-1",
        labels: { "kubernetes.io/service-name": label },
      },
      addressType: "IPv4",
      ports: [{ name: port, port: 8080, protocol: "TCP" }],
      endpoints: [{ addresses: [ADDRESSES.IPv4.pods["far-1"]], conditions: { ready: true } }],
    },
  ];
}

const INJECTIONS: readonly (readonly [string, string])[] = [
  ["quotes", `x" -j ACCEPT -m comment --comment "`],
  ["a line end", "x\n-A INPUT -s 198.18.0.1/32 -j ACCEPT\nCOMMIT"],
  ["a carriage return", "x\r-A INPUT -j DROP"],
  ["a backslash at the end", "x\\"],
  ["a jump", "-j DROP"],
  ["braces and semicolons", "x; } chain evil { type filter hook input priority 0; drop; }"],
  ["a comment sign", "x # y"],
  ["253 characters", "x".repeat(253)],
  ["letters of three bytes", "名".repeat(60)],
  ["a zero byte", "x\0y"],
  ["spaces and tabs", " x \t y "],
  ["shell words", "$(touch /tmp/vipd-was-here)`id`"],
  ["a slash and a colon", "a/b:c"],
];

const FIELDS: readonly (keyof Names)[] = ["name", "namespace", "port"];

for (const [title, text] of INJECTIONS) {
  for (const field of FIELDS) {
    trouble(`${title} as ${field}`, async () => {
      const before = await foreignRules();
      cluster.server.seed(...strangers({ [field]: text }));
      await othersAreServed();
      deepEqual(await foreignRules(), before, "rules outside of the service changed");
    });
  }
}

const NONSENSE: readonly (readonly [string, (pair: readonly object[]) => object[]])[] = [
  ["an address that is none", (pair) => withSpec(pair, { clusterIPs: ["10.300.0.1"] })],
  ["an address with a mask", (pair) => withSpec(pair, { clusterIPs: ["10.0.0.1/8"] })],
  ["an address that is a rule", (pair) => withSpec(pair, { clusterIPs: ["1.1.1.1 -j DROP"] })],
  ["an external address that is none", (pair) => withSpec(pair, { externalIPs: ["x", "::/0"] })],
  ["a range that is none", (pair) =>
    withSpec(pair, {
      type: "LoadBalancer",
      loadBalancerSourceRanges: ["0.0.0.0/99", "x"],
    })],
  [
    "a port that is too large",
    (pair) => withSpec(pair, { ports: [{ name: "web", port: 70_000 }] }),
  ],
  ["a port that is text", (pair) => withSpec(pair, { ports: [{ name: "web", port: "80" }] })],
  ["a protocol nobody knows", (pair) =>
    withSpec(pair, {
      ports: [{ name: "web", port: 80, protocol: "-j DROP" }],
    })],
  ["no ports", (pair) => withSpec(pair, { ports: undefined })],
  ["no spec", ([, one]) => [{ ...one, spec: undefined }, one ?? {}]],
  ["a slice of another kind of address", (pair) => withSlice(pair, { addressType: "MAC" })],
  [
    "a slice without label",
    (pair) => withSlice(pair, { metadata: { namespace: "bad", name: "l" } }),
  ],
  ["an endpoint that is none", (pair) => withSlice(pair, { endpoints: [{ addresses: ["x"] }] })],
  [
    "an endpoint of the other family",
    (pair) => withSlice(pair, { endpoints: [{ addresses: ["fd00::1"] }] }),
  ],
  [
    "an endpoint on the loopback",
    (pair) => withSlice(pair, { endpoints: [{ addresses: ["127.0.0.1"] }] }),
  ],
  ["endpoints that are text", (pair) => withSlice(pair, { endpoints: "many" })],
  ["an endpoint port of 0", (pair) => withSlice(pair, { ports: [{ name: "web", port: 0 }] })],
];

for (const [title, spoil] of NONSENSE) {
  trouble(title, async () => {
    cluster.server.seed(...spoil(strangers({})));
    await othersAreServed();
  });
}

trouble("the same ClusterIP as another service", async () => {
  const [one = {}, two = {}] = strangers({});
  cluster.server.seed(...withSpec([one, two], { clusterIPs: [GOOD.host], clusterIP: GOOD.host }));
  // Whose the address is nobody can say, but vipd goes on with what is not in doubt.
  cluster.server.apply(
    service("clear", { clusterIP: ADDRESSES.IPv4.service(42) }),
    slice("clear", { family: "IPv4", pods: ["far-2"] }),
  );
  const target = { ...GOOD, host: ADDRESSES.IPv4.service(42) };
  await eventually("the clear service answers", async () => {
    return (await cluster.probe("pod-a", target)).kind === "answer" || undefined;
  });
  for (const name of ["clear"]) remove({ namespace: "flows", name });
});

function withSpec([one, two]: readonly object[], spec: object): object[] {
  const before = one && "spec" in one && typeof one.spec === "object" ? one.spec : {};
  return [{ ...one, spec: { ...before, ...spec } }, two ?? {}];
}

function withSlice([one, two]: readonly object[], fields: object): object[] {
  return [one ?? {}, { ...two, ...fields }];
}

let turn = 0;

/** A change of another service still comes through, and nothing is wrong in general. */
async function othersAreServed(): Promise<void> {
  const pods: readonly Pod[] = ["far-1", "pod-b"];
  const pod = pods[turn++ % 2] ?? "pod-b";
  cluster.server.apply(slicesOf(pod));
  await follows(pod);
  equal(await cluster.health("/livez"), 200);
  equal(cluster.vipd.status, undefined);
}

/** Everything in the kernel that names none of our services: that must not change by a name. */
async function foreignRules(): Promise<string[]> {
  const listed = MODE === "nftables"
    ? await cluster.network.sh("node", "nft list ruleset | grep -E 'hook|evil|198.18' || true")
    : await cluster.network.sh(
      "node",
      "iptables-save | grep -E '^:(INPUT|FORWARD|OUTPUT|PREROUTING|POSTROUTING)|" +
        "^-A (INPUT|FORWARD|OUTPUT|PREROUTING|POSTROUTING) ' | sed 's/\\[.*//'",
    );
  return listed.split("\n");
}

function remove({ namespace, name }: { namespace: string; name: string }): void {
  cluster.server.delete({ apiVersion: "v1", kind: "Service", namespace, name });
  cluster.server.delete({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    namespace,
    name: `${name}-ipv4`,
  });
}

function trouble(title: string, fn: () => Promise<void>): void {
  Deno.test({
    name: `${MODE}: ${title}`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await fn();
      removeStrangers();
      const marker = await Deno.stat("/tmp/vipd-was-here").catch(() => undefined);
      ok(marker === undefined, "a name was executed");
    },
  });
}

/** What is not of the cluster goes before the next test. */
function removeStrangers(): void {
  for (
    const [apiVersion, kind] of [["v1", "Service"], [
      "discovery.k8s.io/v1",
      "EndpointSlice",
    ]] as const
  ) {
    for (const { metadata } of cluster.server.list(apiVersion, kind).map(readMetadata)) {
      if (!["flows", "default"].includes(metadata.namespace)) {
        cluster.server.delete({ apiVersion, kind, ...metadata });
      }
    }
  }
}

function readMetadata(object: object): { metadata: { namespace: string; name: string } } {
  const metadata = "metadata" in object ? object.metadata : undefined;
  const named = typeof metadata === "object" && metadata !== null ? metadata : {};
  const namespace = "namespace" in named ? String(named.namespace) : "";
  const name = "name" in named ? String(named.name) : "";
  return { metadata: { namespace, name } };
}
