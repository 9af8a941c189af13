import { deepStrictEqual } from "node:assert/strict";
import {
  nodeObject,
  plannerOptions,
  service,
  slice,
  sliceEndpoint,
  snapshot,
  type SnapshotParts,
} from "../../test/support/builders.ts";
import { noLocalEndpoints, serviceHealthChecks } from "./health.ts";
import { type IpFamily, parseIp } from "./ip.ts";
import type { SliceEndpoint } from "./objects.ts";
import type { Plan } from "./plan.ts";
import { Planner } from "./planner.ts";

function planOf(parts: SnapshotParts, family: IpFamily = "IPv4"): Plan {
  const planner = new Planner(plannerOptions({
    family,
    clusterCidrs: [],
  }));
  return planner.plan(snapshot({ ...parts, node: nodeObject() }), []);
}

/** The service of the conformance case healthcheck-nodeport. */
const BUSY = service({
  type: "LoadBalancer",
  clusterIps: [parseIp("10.96.10.1"), parseIp("fd00::1")],
  externalTrafficPolicy: "Local",
  healthCheckNodePort: 31001,
  ports: [
    { name: "http", protocol: "TCP", port: 80, nodePort: 31011 },
    { name: "https", protocol: "TCP", port: 443, nodePort: 31012 },
  ],
});
const PORTS = [
  { name: "http", protocol: "TCP", port: 8080 },
  { name: "https", protocol: "TCP", port: 8443 },
] as const;

function local(ip: string, fields: Partial<SliceEndpoint> = {}): SliceEndpoint {
  return sliceEndpoint(ip, { nodeName: "here", ...fields });
}

const COUNTS: readonly [string, readonly SliceEndpoint[], number][] = [
  ["nothing", [], 0],
  ["two here and one elsewhere, each with two ports", [
    local("10.244.1.101"),
    local("10.244.1.102"),
    sliceEndpoint("10.244.2.101"),
  ], 2],
  ["one that is not ready", [
    local("10.244.1.101"),
    local("10.244.1.102", { ready: false, serving: false }),
  ], 1],
  [
    "those that terminate but serve",
    [local("10.244.1.101", { ready: false, terminating: true })],
    0,
  ],
];
for (const [what, endpoints, want] of COUNTS) {
  Deno.test(`HZ-06 serviceHealthChecks() counts ${want} of ${what}`, () => {
    const plan = planOf({ services: [BUSY], slices: [slice({ ports: PORTS, endpoints })] });
    deepStrictEqual([...serviceHealthChecks(plan)], [["ns/web", {
      service: "ns/web",
      namespace: "ns",
      name: "web",
      family: "IPv4",
      port: 31001,
      localEndpoints: want,
    }]]);
  });
}

Deno.test("HZ-06 serviceHealthChecks() counts each family by itself", () => {
  const slices = [
    slice({ ports: PORTS, endpoints: [local("10.244.1.101")] }),
    slice({ name: "web-6", family: "IPv6", ports: PORTS, endpoints: [] }),
  ];
  const counts = (["IPv4", "IPv6"] as const).map((family) =>
    serviceHealthChecks(planOf({ services: [BUSY], slices }, family)).get("ns/web")
  );
  deepStrictEqual(counts.map((check) => check?.localEndpoints), [1, 0]);
});

Deno.test("SVC-08 serviceHealthChecks() has no Service of policy Cluster", () => {
  const plan = planOf({ services: [{ ...BUSY, externalTrafficPolicy: "Cluster" }] });
  deepStrictEqual(serviceHealthChecks(plan).size, 0);
});

Deno.test("noLocalEndpoints() counts ports that drop, not those that reject", () => {
  const endpoints = [sliceEndpoint("10.244.2.101")];
  const both = { ...BUSY, internalTrafficPolicy: "Local" } as const;
  const slices = [slice({ ports: PORTS, endpoints })];
  deepStrictEqual(noLocalEndpoints(planOf({ services: [both], slices })), {
    internal: 2,
    external: 2,
  });
  deepStrictEqual(noLocalEndpoints(planOf({ services: [BUSY], slices })), {
    internal: 0,
    external: 2,
  });
  deepStrictEqual(noLocalEndpoints(planOf({ services: [both] })), { internal: 0, external: 0 });
});
