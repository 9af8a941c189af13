import { deepStrictEqual } from "node:assert/strict";
import { service, slice, sliceEndpoint } from "../../test/support/builders.ts";
import { candidatesFor } from "./endpoints.ts";
import type { SliceEndpoint } from "./objects.ts";
import { servicePortName } from "./service.ts";
import { topologyMode, usableEndpoints } from "./topology.ts";
import type { TopologyOptions } from "./topology.ts";

const BOTH: TopologyOptions = {
  nodeName: "here",
  zone: "zone-a",
  nodeHints: true,
  usesCluster: true,
  usesLocal: true,
};

/** Each letter is an endpoint 10.0.0.1, .2, ...: see SHAPES. */
function candidates(shapes: string, hints: readonly Partial<SliceEndpoint>[] = []) {
  const endpoints = [...shapes].map((shape, i) =>
    sliceEndpoint(`10.0.0.${i + 1}`, { ...SHAPES[shape], ...hints[i] })
  );
  const name = servicePortName(service(), { name: "http", protocol: "TCP" });
  return candidatesFor([slice({ endpoints })], { name, family: "IPv4", nodeName: "here" });
}

const HERE = { nodeName: "here" };
const DRAINING = { ready: false, serving: true, terminating: true };
const GONE = { ready: false, serving: false, terminating: true };
const SHAPES: Readonly<Record<string, Partial<SliceEndpoint>>> = {
  r: {}, // ready elsewhere
  R: HERE, // ready here
  d: DRAINING, // serves while it terminates, elsewhere
  D: { ...DRAINING, ...HERE },
  x: GONE, // terminates and serves no more, elsewhere
  X: { ...GONE, ...HERE },
  n: { ready: false }, // serves, but is not ready and does not terminate, elsewhere
  N: { ready: false, ...HERE },
  b: { terminating: true }, // ready though it terminates, elsewhere
};

/** Numbers are the last octets of the endpoints. */
function usable(shapes: string, options: Partial<TopologyOptions> = {}): unknown {
  const found = usableEndpoints(candidates(shapes), { ...BOTH, ...options });
  const octets = (["cluster", "local", "reachable"] as const).map((set) =>
    found[set].map(({ ip }) => ip.slice("10.0.0.".length)).join("")
  );
  return [...octets, found.hasAny];
}

const CLUSTER_ONLY = { usesLocal: false };
const LOCAL_ONLY = { usesCluster: false };

const READINESS = [
  ["no endpoints", "", {}, ["", "", "", false]],
  ["ready ones, here and elsewhere", "rR", {}, ["12", "2", "12", true]],
  ["TOP-01 draining ones wait while one is ready", "rdD", {}, ["1", "3", "13", true]],
  ["TOP-01 draining ones everywhere", "dDx", {}, ["12", "2", "12", true]],
  ["TOP-01 gone or unready ones are of no use", "xXnN", {}, ["", "", "", false]],
  ["TOP-02 ready here beats draining here", "RD", {}, ["1", "1", "1", true]],
  ["TOP-03 draining here joins ready elsewhere, in order", "DrDr", {}, ["24", "13", "1234", true]],
  ["ready counts though it terminates", "b", {}, ["1", "", "1", true]],
  ["TOP-04 no local policy", "rR", CLUSTER_ONLY, ["12", "", "12", true]],
  ["TOP-04 only local policy", "rR", LOCAL_ONLY, ["", "2", "2", true]],
  ["TOP-03 only local policy, ready elsewhere", "r", LOCAL_ONLY, ["", "", "", true]],
  ["TOP-03 only local policy, draining elsewhere", "d", LOCAL_ONLY, ["", "", "", true]],
  ["TOP-03 only local policy, nobody", "xn", LOCAL_ONLY, ["", "", "", false]],
] as const;
for (const [what, shapes, options, want] of READINESS) {
  Deno.test(`usableEndpoints(): ${what}`, () => deepStrictEqual(usable(shapes, options), want));
}

const A = { zoneHints: ["zone-a"] };
const B = { zoneHints: ["zone-b"] };
const AB = { zoneHints: ["zone-a", "zone-b"] };
const HERE_A = { zoneHints: ["zone-a"], nodeHints: ["here"] };
const THERE_A = { zoneHints: ["zone-a"], nodeHints: ["there"] };
const THERE_B = { zoneHints: ["zone-b"], nodeHints: ["there"] };

const HINTS = [
  ["no hints", "rr", [{}, {}], {}, "none", []],
  ["complete zone hints", "rrr", [A, B, AB], {}, "zone", []],
  ["one without", "rr", [A, {}], {}, "none", []],
  ["one without that is not ready", "rn", [A, {}], {}, "zone", []],
  ["hints of endpoints that are not ready", "nd", [A, A], {}, "none", []],
  ["only for another zone", "rr", [B, B], {}, "none", ["no-hint-for-zone"]],
  ["no zone label", "rr", [A, B], { zone: "" }, "none", ["no-zone-label"]],
  ["complete node hints", "rr", [HERE_A, THERE_A], {}, "node", []],
  ["node hints, one without", "rr", [HERE_A, A], {}, "zone", []],
  ["node hints for others, zone", "rr", [THERE_A, THERE_B], {}, "zone", ["no-hint-for-node"]],
  ["node hints for others only", "r", [THERE_B], {}, "none", [
    "no-hint-for-node",
    "no-hint-for-zone",
  ]],
  ["node hints while the gate is off", "rr", [HERE_A, THERE_A], { nodeHints: false }, "zone", []],
] as const;
for (const [what, shapes, hints, options, mode, remarks] of HINTS) {
  Deno.test(`TOP-05 topologyMode() is ${mode} for ${what}`, () => {
    deepStrictEqual(topologyMode(candidates(shapes, hints), { ...BOTH, ...options }), {
      mode,
      remarks,
    });
  });
}

const FOLLOWED = [
  ["zone", "rrr", [A, B, AB], "1,3", "", "1,3"],
  ["node", "rr", [HERE_A, THERE_A], "1", "", "1"],
  ["TOP-06 zone, and policy Local ignores it", "Rr", [B, A], "2", "1", "1,2"],
  ["zone, not by those that drain", "dd", [B, {}], "1,2", "", "1,2"],
] as const;
for (const [what, shapes, hints, ...want] of FOLLOWED) {
  Deno.test(`usableEndpoints() follows hints: ${what}`, () => {
    const found = usableEndpoints(candidates(shapes, hints), BOTH);
    const sets = [found.cluster, found.local, found.reachable];
    deepStrictEqual(sets.map((set) => set.map(({ ip }) => ip.at(-1)).join()), want);
  });
}
