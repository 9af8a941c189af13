/**
 * What planning costs at 10,000 Services of 10 endpoints. Budgets, on a 2-core machine of the kind
 * in PERFORMANCE.md: unchanged 4 ms, one changed 6 ms, from scratch 500 ms.
 *
 *     deno bench test/bench/plan_bench.ts
 *
 * @module
 */

import { ipFromBytes } from "../../src/model/ip.ts";
import type { EndpointSlice, NamespacedName, Snapshot } from "../../src/model/objects.ts";
import { Planner } from "../../src/model/planner.ts";
import { nodeObject, plannerOptions, service, slice, sliceEndpoint } from "../support/builders.ts";

const SERVICES = 10_000;
const ENDPOINTS = 10;

function ip(net: number, number: number): ReturnType<typeof ipFromBytes> {
  return ipFromBytes(Uint8Array.of(net, number >> 16, (number >> 8) & 0xff, number & 0xff));
}

function makeSlice(number: number): EndpointSlice {
  const endpoints = Array.from(
    { length: ENDPOINTS },
    (_, i) => sliceEndpoint(ip(10, number * ENDPOINTS + i)),
  );
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
const hostAddresses = [{ interfaceName: "eth0", ip: ip(192, 1) }];

function makePlanner(): Planner {
  return new Planner(plannerOptions());
}

const warm = makePlanner();
warm.plan(snapshot, hostAddresses);

Deno.bench("plan: nothing changed", () => {
  warm.plan(snapshot, hostAddresses);
});

let turn = 0;
Deno.bench("plan: one slice changed", () => {
  turn++;
  const changed = makeSlice(turn % SERVICES);
  const [first, ...rest] = changed.endpoints;
  if (first === undefined) throw new Error("No endpoint to change");
  const endpoints = [{ ...first, ready: turn % 2 === 0 }, ...rest];
  slicesByService.set(`ns/${changed.serviceName}`, [{ ...changed, endpoints }]);
  warm.plan(snapshot, hostAddresses);
});

Deno.bench("plan: same slice again, as new objects", () => {
  turn++;
  const changed = makeSlice(turn % SERVICES);
  slicesByService.set(`ns/${changed.serviceName}`, [changed]);
  warm.plan(snapshot, hostAddresses);
});

Deno.bench("plan: from scratch", { n: 10 }, () => {
  makePlanner().plan(snapshot, hostAddresses);
});
