/**
 * What only mode nftables does to traffic, and what the table goes through while traffic flows:
 * changes in a row, others who flush it, a service that the kernel refuses.
 *
 * Run by `deno run -A test/e2e/run.ts --mode nftables`.
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../support/vipd.ts";
import { type Cluster, MODE, openCluster } from "./cluster.ts";
import { service, slice } from "./objects.ts";
import { ADDRESSES, FAMILIES, type Family, type Pod } from "./topology.ts";

const CHANGES = 200;

/** A service that answers all the time. */
const WEB = 40;

/** The endpoints of {@linkcode WEB} one after the other; no pod ever goes away. */
const TURNS: readonly (readonly Pod[])[] = [
  ["pod-b"],
  ["pod-b", "far-1"],
  ["far-1"],
  ["far-1", "far-2", "pod-b"],
];

let cluster: Cluster;

Deno.test.beforeAll(async () => {
  if (MODE !== "nftables") return;
  cluster = await openCluster();
  cluster.server.apply(dualService("web", { n: WEB }), ...slices("web", ["pod-b"]));
  for (const family of FAMILIES) await answers(family, WEB);
});

Deno.test.afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

function dualService(name: string, { n, spec }: { readonly n: number; readonly spec?: object }) {
  const clusterIPs = FAMILIES.map((family) => ADDRESSES[family].service(n));
  const [clusterIP] = clusterIPs;
  return service(name, { clusterIP, clusterIPs, ipFamilyPolicy: "RequireDualStack", ...spec });
}

function slices(name: string, pods: readonly Pod[]): object[] {
  return FAMILIES.map((family) => slice(name, { family, pods }));
}

function targetOf(
  family: Family,
  { n, port = 80 }: { readonly n: number; readonly port?: number },
) {
  return { protocol: "tcp", host: ADDRESSES[family].service(n), port, timeoutMs: 1_000 } as const;
}

async function answers(family: Family, n: number): Promise<void> {
  await eventually(`service ${n} answers`, async () => {
    const { kind } = await cluster.probe("pod-a", targetOf(family, { n }));
    return kind === "answer" ? true : undefined;
  }, { timeoutMs: 5_000 });
}

async function nft(...args: readonly string[]): Promise<string> {
  return await cluster.network.run("node", ["nft", ...args]);
}

function test(title: string, fn: () => Promise<void>): void {
  Deno.test({
    name: `nftables: ${title}`,
    ignore: MODE !== "nftables",
    sanitizeOps: false,
    sanitizeResources: false,
    fn,
  });
}

for (const family of FAMILIES) {
  test(`${family}: a port that a ClusterIP does not have is refused`, async () => {
    // Not from outside: the node would send it back there, and the redirect for that uses up the
    // rate of ICMP errors. Over IPv6 Linux only believes the second refusal, a second later.
    for (const client of ["pod-a", "node"] as const) {
      const target = { ...targetOf(family, { n: WEB, port: 81 }), timeoutMs: 2_500 };
      equal((await cluster.probe(client, target)).kind, "refused", client);
    }
  });

  test(`${family}: a ClusterIP that no service has is dropped`, async () => {
    for (const client of ["pod-a", "node", "outside"] as const) {
      const target = { ...targetOf(family, { n: 99 }), timeoutMs: 2_500 };
      equal((await cluster.probe(client, target)).kind, "silence", client);
    }
  });
}

/** Connects over and over until told to stop. Returns how often, and what did not answer. */
async function keepAsking(family: Family, signal: AbortSignal) {
  const failures: string[] = [];
  let count = 0;
  while (!signal.aborted) {
    const { kind } = await cluster.probe("pod-a", targetOf(family, { n: WEB }));
    count++;
    if (kind !== "answer") failures.push(kind);
    await sleep(1);
  }
  return { count, failures };
}

test(`no connection fails during ${CHANGES} changes`, async () => {
  const stop = new AbortController();
  const clients = FAMILIES.map((family) => keepAsking(family, stop.signal));
  for (let i = 0; i < CHANGES; i++) {
    const affinity = { sessionAffinity: i % 2 === 0 ? "None" : "ClientIP" };
    if (i % 10 === 9) cluster.server.apply(dualService("web", { n: WEB, spec: affinity }));
    else if (i % 3 === 2) cluster.server.apply(dualService(`other${i % 7}`, { n: 50 + i % 7 }));
    else cluster.server.apply(...slices("web", TURNS[i % TURNS.length] ?? []));
    await sleep(i % 5 === 0 ? 50 : 5);
  }
  stop.abort();
  for (const { count, failures } of await Promise.all(clients)) {
    deepEqual(failures, []);
    ok(count > 100, `${count} connections`);
  }
});

test("rules that others flush amid changes are back within 2 seconds", async () => {
  cluster.server.apply(dualService("web", { n: WEB }), ...slices("web", ["pod-b"]));
  for (
    const damage of ["flush ruleset", "delete table ip kube-proxy", "flush table ip kube-proxy"]
  ) {
    for (let i = 0; i < 20; i++) {
      cluster.server.apply(...slices("web", TURNS[i % TURNS.length] ?? []));
      if (i === 10) await nft(damage);
      await sleep(5);
    }
    const start = Date.now();
    for (const family of FAMILIES) await answers(family, WEB);
    ok(Date.now() - start < 2_000, `${damage}: ${Date.now() - start} ms`);
  }
});

/** What a service with affinity needs is there already, as something else. */
async function obstruct(name: string): Promise<string> {
  cluster.server.apply(
    dualService(name, { n: 60, spec: { sessionAffinity: "ClientIP" } }),
    ...slices(name, ["pod-b"]),
  );
  await answers("IPv4", 60);
  const set = new RegExp(`set (affinity-\\S+/${name}/tcp/\\S+)`).exec(
    await nft("list", "table", "ip", "kube-proxy"),
  )?.[1] ?? "";
  const reference = { apiVersion: "v1", kind: "Service", namespace: "flows", name };
  cluster.server.delete(reference);
  await eventually("the set is gone", async () => {
    return (await nft("list", "table", "ip", "kube-proxy")).includes(set) ? undefined : true;
  });
  await nft("add", "chain", "ip", "kube-proxy", "others");
  return set;
}

test("a service that the kernel refuses is set aside, told of, and tried again", async () => {
  const set = await obstruct("sticky");
  // While vipd is away: it would remove the set at once.
  await cluster.vipd.end("SIGKILL");
  await nft(`add set ip kube-proxy ${set} { type ipv4_addr ; flags interval ; }`);
  await nft(`add rule ip kube-proxy others ip saddr @${set} counter`);
  cluster.server.apply(
    dualService("sticky", { n: 60, spec: { sessionAffinity: "ClientIP" } }),
    ...slices("sticky", ["pod-b"]),
  );
  await cluster.restart("SIGKILL");
  const gauge = () => cluster.metric('kubeproxy_vipd_quarantined_service_ports{ip_family="IPv4"}');
  equal(await gauge(), 1);
  const event = await eventually("an Event", () => {
    const events = cluster.server.list("events.k8s.io/v1", "Event");
    return Promise.resolve(events.find((one) => one["reason"] === "FailedToProgramService"));
  });
  ok(JSON.stringify(event).includes("sticky"));
  await answers("IPv4", WEB);
  await answers("IPv6", 60);
  cluster.server.apply(...slices("web", ["far-1"]));
  await answers("IPv4", WEB);

  await nft("delete", "chain", "ip", "kube-proxy", "others");
  await nft("delete", "set", "ip", "kube-proxy", set);
  await answers("IPv4", 60);
  equal(await gauge(), 0);
});
