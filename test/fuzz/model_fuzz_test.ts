/**
 * Properties of planning over random clusters. A failure prints its seed;
 * `deno test test/fuzz/model_fuzz_test.ts -- --seed=N` tries that one alone.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { type Flow, staleFlows } from "../../src/model/conntrack.ts";
import {
  bitsOf,
  containsIp,
  type IpAddress,
  ipFromBytes,
  ipToBytes,
  parseCidr,
  parseIp,
} from "../../src/model/ip.ts";
import type { Plan, ServicePlan, ServicePort } from "../../src/model/plan.ts";
import { Planner, type PlannerOptions } from "../../src/model/planner.ts";
import { type Random, tryProperty } from "../support/random.ts";
import { Cluster, freezeDeep, hasTwins } from "./cluster.ts";
import { expectedOf } from "./plan_oracle.ts";

const OPTIONS: PlannerOptions = {
  family: "IPv4",
  nodeName: "here",
  detectLocal: { kind: "ClusterCIDR" },
  clusterCidrs: [parseCidr("10.0.0.0/8")],
  nodePortAddresses: [parseCidr("192.168.0.0/24")],
  allowExternalIps: true,
  nodeHints: true,
};

function someOptions(random: Random): PlannerOptions {
  return freezeDeep({
    ...OPTIONS,
    family: random.pick(["IPv4", "IPv4", "IPv6"]),
    nodePortAddresses: random.pick([OPTIONS.nodePortAddresses, [], "primary"] as const),
    allowExternalIps: random.chance(0.8),
    nodeHints: random.chance(0.8),
  });
}

function fromScratch(cluster: Cluster, options: PlannerOptions): Plan {
  return new Planner(options).plan(cluster, cluster.hostAddresses);
}

/** Notes tell what is new, so only they depend on what was planned before. */
function withoutNotes({ notes: _, ...plan }: Plan): Omit<Plan, "notes"> {
  return plan;
}

Deno.test("a plan does not depend on the order of objects", () =>
  tryProperty((random) => {
    const cluster = new Cluster(random);
    const options = someOptions(random);
    const { hostAddresses, ...shuffled } = cluster.shuffled();
    const other = new Planner(options).plan(shuffled, hostAddresses);
    const plan = fromScratch(cluster, options);
    deepStrictEqual(withoutNotes(other), withoutNotes(plan));
    const texts = (notes: Plan["notes"]) => notes.map((note) => JSON.stringify(note)).sort();
    deepStrictEqual(texts(other.notes), texts(plan.notes));
  }, { times: 300 }));

Deno.test("a plan that reuses the previous one equals one from scratch, and touches nothing", () =>
  tryProperty((random) => {
    const cluster = new Cluster(random);
    const options = someOptions(random);
    const planner = new Planner(options);
    const history: { plan: Plan; services: readonly (readonly [string, ServicePlan])[] }[] = [];
    for (let step = 0; step < 12; step++) {
      const plan = freezeDeep(planner.plan(cluster, cluster.hostAddresses));
      deepStrictEqual(withoutNotes(plan), withoutNotes(fromScratch(cluster, options)));
      history.push({ plan, services: [...plan.services] });
      for (let edits = random.below(4); edits > 0; edits--) cluster.change();
    }
    // Maps cannot be frozen, so look whether a later plan wrote into an earlier one.
    for (const { plan, services } of history) deepStrictEqual([...plan.services], services);
  }, { times: 100 }));

Deno.test("whatever is equal to what it was before is the same object", () =>
  tryProperty((random) => {
    const cluster = new Cluster(random);
    const planner = new Planner(someOptions(random));
    let before = planner.plan(cluster, cluster.hostAddresses);
    for (let step = 0; step < 12; step++) {
      cluster.change();
      const after = planner.plan(cluster, cluster.hostAddresses);
      for (const [key, plan] of after.services) assertReused(before.services.get(key), plan);
      for (const part of ["node", "services", "serviceCidrs"] as const) {
        const isEqual = isDeepStrictEqual(before[part], after[part]);
        ok(before[part] === after[part] || !isEqual, `${part} is equal, yet another object`);
      }
      before = after;
    }
  }, { times: 100 }));

function assertReused(before: ServicePlan | undefined, after: ServicePlan): void {
  if (before === undefined || before === after) return;
  const names = Object.keys(after) as (keyof ServicePlan)[];
  ok(!isDeepStrictEqual(before, after), "a ServicePlan is equal, yet another object");
  for (const name of names) {
    const isEqual = isDeepStrictEqual(before[name], after[name]);
    ok(before[name] === after[name] || !isEqual, `${name} is equal, yet another object`);
  }
}

Deno.test("usable endpoints and verdicts agree with a slow and obvious oracle", () => {
  let compared = 0;
  tryProperty((random) => {
    const cluster = new Cluster(random);
    const options = { ...OPTIONS, nodeHints: random.chance(0.7) };
    const plan = fromScratch(cluster, options);
    for (const [key, service] of cluster.services) {
      const slices = cluster.slicesByService.get(key) ?? [];
      if (hasTwins(slices)) continue;
      for (const port of service.ports) {
        const name = port.name === "" ? key : `${key}:${port.name}`;
        const found = plan.services.get(`${name}/${port.protocol}`);
        if (found === undefined) continue;
        const place = { ...options, zone: cluster.node?.zone ?? "" };
        deepStrictEqual(summaryOf(found), expectedOf({ service, port, slices }, place));
        compared++;
      }
    }
  }, { times: 500 });
  ok(compared > 0, "no ServicePort was compared");
});

function summaryOf(plan: ServicePlan): unknown {
  const texts = (set: "cluster" | "local" | "reachable") => plan[set].map(({ text }) => text);
  return {
    cluster: texts("cluster"),
    local: texts("local"),
    reachable: texts("reachable"),
    internal: plan.internal.kind,
    external: plan.external.kind,
  };
}

Deno.test("a plan keeps its own promises", () =>
  tryProperty((random) => {
    const plan = fromScratch(new Cluster(random), someOptions(random));
    let endpointCount = 0;
    for (const [key, each] of plan.services) {
      strictEqual(each.servicePort.name.key, key);
      endpointCount += each.endpoints.length;
      const usable = new Set([...each.cluster, ...each.local]);
      deepStrictEqual(each.reachable, each.endpoints.filter((endpoint) => usable.has(endpoint)));
      for (const verdict of [each.internal, each.external]) {
        strictEqual(verdict.kind === "forward", each[verdict.scope].length > 0);
      }
    }
    strictEqual(plan.endpointCount, endpointCount);
  }, { times: 200 }));

Deno.test("a UDP flow is stale unless somebody who serves answers it", () =>
  tryProperty((random) => {
    const plan = fromScratch(new Cluster(random), OPTIONS);
    for (const { servicePort, endpoints } of plan.services.values()) {
      if (servicePort.name.protocol !== "UDP") continue;
      deepStrictEqual(staleFlows([flowTo(servicePort, STRANGER)], plan).length, 1);
      const flows = endpoints.map((endpoint) => flowTo(servicePort, endpoint));
      const want = flows.filter((_, i) => endpoints[i]?.serving === false);
      deepStrictEqual(staleFlows(flows, plan), want);
    }
  }, { times: 200 }));

const STRANGER = { ip: parseIp("203.0.113.99"), port: 53 };

function flowTo(servicePort: ServicePort, server: { ip: IpAddress; port: number }): Flow {
  const client = { ip: parseIp("203.0.113.7"), port: 40000 };
  return {
    family: "IPv4",
    protocol: "UDP",
    original: {
      source: client.ip,
      destination: servicePort.clusterIp,
      sourcePort: client.port,
      destinationPort: servicePort.port,
    },
    reply: {
      source: server.ip,
      destination: client.ip,
      sourcePort: server.port,
      destinationPort: client.port,
    },
  };
}

Deno.test("addresses: bytes to text and back, and membership by counting bits", () =>
  tryProperty((random) => {
    const bytes = Uint8Array.from(
      { length: random.pick([4, 16]) },
      () => random.chance(0.5) ? 0 : random.below(256),
    );
    const ip = ipFromBytes(bytes);
    deepStrictEqual(parseIp(ip), ip);
    deepStrictEqual(ipFromBytes(ipToBytes(ip)), ip);
    const other = ipToBytes(ip);
    const width = bitsOf(other.length === 4 ? "IPv4" : "IPv6");
    const flipped = random.below(width);
    const at = flipped >> 3;
    other[at] = (other[at] ?? 0) ^ (0x80 >> (flipped & 7));
    const prefixLength = random.below(width + 1);
    const cidr = parseCidr(`${ip}/${prefixLength}`);
    // A flip can make or unmake an IPv4-mapped address, which is of another family.
    if (other.length === 16 && ipFromBytes(other).includes(".")) return;
    const isInside = [ip, ipFromBytes(other)].map((each) => containsIp(cidr, each));
    deepStrictEqual(isInside, [true, flipped >= prefixLength]);
  }, { times: 2000 }));
