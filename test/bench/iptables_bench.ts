/**
 * What iptables mode costs without the tools, at 10,000 Services of 5 endpoints. Budgets, on a
 * 2-core machine of the kind in PERFORMANCE.md: from nothing 1 s, one changed endpoint 8 ms,
 * nothing changed 0.1 ms. The change has to be at most 1,200 bytes.
 *
 *     deno bench test/bench/iptables_bench.ts
 *
 * @module
 */

import { restoresOf } from "../../src/backend/iptables/changes.ts";
import { type Applied, diffRulesets } from "../../src/backend/iptables/diff.ts";
import { diffObserved } from "../../src/backend/iptables/observed.ts";
import { renderRuleset } from "../../src/backend/iptables/render.ts";
import type { RestoreText } from "../../src/kernel/iptables/restore.ts";
import { ipFromBytes } from "../../src/model/ip.ts";
import type { EndpointSlice, NamespacedName, Snapshot } from "../../src/model/objects.ts";
import { Planner } from "../../src/model/planner.ts";
import { nodeObject, plannerOptions, service, slice, sliceEndpoint } from "../support/builders.ts";
import { FACTS } from "../support/iptables_stage.ts";

const SERVICES = 10_000;
const ENDPOINTS = 5;
const MAX_LINES = 4000;
const MAX_BYTES = 1200;

function ip(net: number, number: number): ReturnType<typeof ipFromBytes> {
  return ipFromBytes(Uint8Array.of(net, number >> 16, (number >> 8) & 0xff, number & 0xff));
}

function makeSlice(number: number, { version = 0 } = {}): EndpointSlice {
  const numbers = Array.from({ length: ENDPOINTS }, (_, i) => number * ENDPOINTS + i);
  const endpoints = numbers.map((each, i) => sliceEndpoint(ip(i === 0 ? 11 + version : 10, each)));
  const name = `service-${number}`;
  return slice({ name: `${name}-1`, serviceName: name, endpoints });
}

const slicesByService = new Map<NamespacedName, readonly EndpointSlice[]>();
const services = new Map(
  Array.from({ length: SERVICES }, (_, number) => {
    const name = `service-${number}`;
    const key: NamespacedName = `ns/${name}`;
    slicesByService.set(key, [makeSlice(number)]);
    return [key, service({ name, clusterIps: [ip(172, number)] })] as const;
  }),
);
const snapshot: Snapshot = {
  services,
  slicesByService,
  node: nodeObject(),
  serviceCidrs: new Map(),
};

const planner = new Planner(plannerOptions());
const plan = planner.plan(snapshot, []);
const wish = renderRuleset(plan, { facts: FACTS, previous: undefined });
let applied: Applied = { ruleset: wish, owned: diffObserved(new Map(), wish).owned };
let version = 0;

function changeOne(): readonly RestoreText[] {
  version = (version + 1) % 100;
  slicesByService.set("ns/service-77", [makeSlice(77, { version })]);
  const next = planner.plan(snapshot, []);
  const ruleset = renderRuleset(next, { facts: FACTS, previous: applied.ruleset });
  const changes = diffRulesets(applied, ruleset);
  applied = { ruleset, owned: changes.owned };
  return [...restoresOf(changes, { maxLines: MAX_LINES })];
}

const [written] = changeOne();
if (written === undefined || written.bytes > MAX_BYTES) {
  throw new Error(`A changed endpoint is ${written?.bytes} bytes, budget ${MAX_BYTES}`);
}

Deno.bench("render, compare and print everything", { n: 3, warmup: 1 }, () => {
  const ruleset = renderRuleset(plan, { facts: FACTS, previous: undefined });
  for (const _ of restoresOf(diffObserved(new Map(), ruleset), { maxLines: MAX_LINES }));
});

Deno.bench(`plan, render and print one changed endpoint (${written.bytes} bytes)`, () => {
  changeOne();
});

Deno.bench("render and compare nothing", () => {
  const unchanged = planner.plan(snapshot, []);
  diffRulesets(applied, renderRuleset(unchanged, { facts: FACTS, previous: applied.ruleset }));
});
