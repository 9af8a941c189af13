import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import {
  nodeObject,
  service,
  slice,
  sliceEndpoint,
  snapshot,
  type SnapshotParts,
} from "../../test/support/builders.ts";
import { parseCidr, parseIp } from "./ip.ts";
import type {
  EndpointSlice,
  HostAddress,
  NamespacedName,
  NodeObject,
  Service,
  ServiceCidr,
} from "./objects.ts";
import type { Plan, ServicePlan } from "./plan.ts";
import { Planner, type PlannerOptions } from "./planner.ts";

const OPTIONS: PlannerOptions = {
  family: "IPv4",
  nodeName: "here",
  detectLocal: { kind: "ClusterCIDR" },
  clusterCidrs: [parseCidr("10.0.0.0/8"), parseCidr("fd00:10::/48")],
  nodePortAddresses: [],
  allowExternalIps: true,
  nodeHints: true,
};
const HOST_ADDRESSES: readonly HostAddress[] = [
  { interfaceName: "eth0", ip: parseIp("192.168.0.2") },
  { interfaceName: "eth0", ip: parseIp("fd00:77::2") },
];
const TWO_PORTS = [
  { name: "http", protocol: "TCP", port: 80, nodePort: 0 },
  { name: "dns", protocol: "UDP", port: 53, nodePort: 0 },
] as const;
const WEB = service({ ports: TWO_PORTS });
const API = service({ name: "api", clusterIps: [parseIp("172.30.0.2")] });
const WEB_SLICE = slice({
  ports: [
    { name: "http", protocol: "TCP", port: 8080 },
    { name: "dns", protocol: "UDP", port: 5353 },
  ],
  endpoints: [sliceEndpoint("10.0.0.2"), sliceEndpoint("10.0.0.1", { nodeName: "here" })],
});
const API_SLICE = slice({
  name: "api-1",
  serviceName: "api",
  endpoints: [sliceEndpoint("10.0.1.1")],
});
const PARTS = { services: [WEB, API], slices: [WEB_SLICE, API_SLICE], node: nodeObject() };

/** A store as the real one is: the same maps, whose values are replaced. */
class Store {
  readonly services: Map<NamespacedName, Service>;
  readonly slicesByService: Map<NamespacedName, readonly EndpointSlice[]>;
  readonly serviceCidrs: Map<string, ServiceCidr>;
  node: NodeObject | undefined;
  readonly #planner = new Planner(OPTIONS);

  constructor(parts: SnapshotParts = PARTS) {
    const start = snapshot(parts);
    this.services = new Map(start.services);
    this.slicesByService = new Map(start.slicesByService);
    this.serviceCidrs = new Map(start.serviceCidrs);
    this.node = start.node;
  }

  plan(): Plan {
    return this.#planner.plan(this, HOST_ADDRESSES);
  }

  setSlices(...slices: EndpointSlice[]): void {
    this.slicesByService.set("ns/web", slices);
  }
}

function get(plan: Plan, key: string): ServicePlan {
  const found = plan.services.get(key);
  ok(found, `no ${key} in the plan`);
  return found;
}

Deno.test("plan() answers every question about a ServicePort", () => {
  const plan = new Store().plan();
  const { servicePort, endpoints, ...rest } = get(plan, "ns/web:dns/UDP");
  deepStrictEqual([...plan.services.keys()], [
    "ns/web:http/TCP",
    "ns/web:dns/UDP",
    "ns/api:http/TCP",
  ]);
  deepStrictEqual([servicePort.clusterIp, servicePort.port], ["172.30.0.1", 53]);
  deepStrictEqual(endpoints.map(({ text }) => text), ["10.0.0.1:5353", "10.0.0.2:5353"]);
  deepStrictEqual(rest, {
    cluster: endpoints,
    local: [],
    reachable: endpoints,
    internal: { kind: "forward", scope: "cluster" },
    external: { kind: "forward", scope: "cluster" },
  });
  deepStrictEqual(plan.endpointCount, 5);
  deepStrictEqual(plan.family, "IPv4");
  deepStrictEqual(plan.node.ip, "192.168.0.2");
});

Deno.test("plan() keeps equal lists of a ServicePlan as one", () => {
  const { endpoints, cluster, reachable } = get(new Store().plan(), "ns/web:http/TCP");
  strictEqual(cluster, endpoints);
  strictEqual(reachable, endpoints);
});

Deno.test("plan() is the same object while nothing changes", () => {
  const store = new Store();
  const plan = store.plan();
  strictEqual(store.plan(), plan);
  strictEqual(store.plan(), plan);
});

type Edit = readonly [string, (store: Store) => void];
const SAME: readonly Edit[] = [
  ["a Service whose labels changed", (store) => store.services.set("ns/web", { ...WEB })],
  ["a slice whose labels changed", (store) => store.setSlices({ ...WEB_SLICE })],
  ["a trigger time", (store) => store.setSlices({ ...WEB_SLICE, triggerTimeMs: 1 })],
  [
    "another order in a slice",
    (store) => store.setSlices({ ...WEB_SLICE, endpoints: WEB_SLICE.endpoints.toReversed() }),
  ],
  ["an endpoint that moves between slices", (store) =>
    store.setSlices(
      { ...WEB_SLICE, endpoints: WEB_SLICE.endpoints.slice(0, 1) },
      { ...WEB_SLICE, name: "web-2", endpoints: WEB_SLICE.endpoints.slice(1) },
    )],
  [
    "a slice of the other family",
    (store) =>
      store.setSlices(WEB_SLICE, { ...WEB_SLICE, name: "web-6", family: "IPv6", endpoints: [] }),
  ],
  [
    "a Service without an address of this family",
    (store) =>
      store.services.set("ns/six", service({ name: "six", clusterIps: [parseIp("fd00::6")] })),
  ],
  ["a Service of all new objects", (store) => store.services.set("ns/web", structuredClone(WEB))],
  ["a node whose labels changed", (store) => store.node = nodeObject()],
  [
    "slices of a Service that is not there",
    (store) => store.slicesByService.set("ns/none", [slice({ serviceName: "none" })]),
  ],
];
for (const [what, edit] of SAME) {
  Deno.test(`plan() is the same object after ${what}`, () => {
    const store = new Store();
    const plan = store.plan();
    edit(store);
    strictEqual(store.plan(), plan);
  });
}

Deno.test("plan() replaces only what an endpoint change touches", () => {
  const store = new Store();
  const before = store.plan();
  const extra = slice({ name: "web-2", endpoints: [sliceEndpoint("10.0.0.3")] });
  store.setSlices(WEB_SLICE, extra);
  const after = store.plan();
  const http = get(after, "ns/web:http/TCP");
  const old = get(before, "ns/web:http/TCP");
  notStrictEqual(http, old);
  strictEqual(http.servicePort, old.servicePort);
  strictEqual(http.endpoints[0], old.endpoints[0]);
  deepStrictEqual(http.endpoints.map(({ text }) => text).at(-1), "10.0.0.3:8080");
  strictEqual(get(after, "ns/web:dns/UDP"), get(before, "ns/web:dns/UDP"));
  strictEqual(get(after, "ns/api:http/TCP"), get(before, "ns/api:http/TCP"));
  strictEqual(after.node, before.node);
  strictEqual(after.serviceCidrs, before.serviceCidrs);
  deepStrictEqual([before.endpointCount, after.endpointCount], [5, 6]);
  deepStrictEqual(before.services.size, 3);
  deepStrictEqual(old.endpoints.length, 2);
});

Deno.test("plan() keeps the endpoints when only the Service changed", () => {
  const store = new Store();
  const old = get(store.plan(), "ns/web:http/TCP");
  store.services.set("ns/web", { ...WEB, affinitySeconds: 60 });
  const changed = get(store.plan(), "ns/web:http/TCP");
  notStrictEqual(changed.servicePort, old.servicePort);
  strictEqual(changed.servicePort.name, old.servicePort.name);
  strictEqual(changed.servicePort.externalIps, old.servicePort.externalIps);
  strictEqual(changed.endpoints, old.endpoints);
});

Deno.test("plan() forgets ports, Services and slices that are gone", () => {
  const store = new Store();
  store.plan();
  store.services.set("ns/web", { ...WEB, ports: TWO_PORTS.slice(0, 1) });
  store.services.delete("ns/api");
  const plan = store.plan();
  deepStrictEqual([[...plan.services.keys()], plan.endpointCount], [["ns/web:http/TCP"], 2]);
  store.slicesByService.delete("ns/web");
  deepStrictEqual(store.plan().endpointCount, 0);
  deepStrictEqual(get(store.plan(), "ns/web:http/TCP").internal.kind, "reject");
  store.services.delete("ns/web");
  store.services.set("ns/api", API);
  deepStrictEqual([...store.plan().services.keys()], ["ns/api:http/TCP"]);
});

Deno.test("plan() looks at hints again when the zone changes, and only there", () => {
  const hinted = ["zone-a", "zone-b"].map((zone, i) =>
    sliceEndpoint(`10.0.0.${i}`, { zoneHints: [zone] })
  );
  const store = new Store({
    services: [WEB, API],
    slices: [slice({ endpoints: hinted }), API_SLICE],
    node: nodeObject({ zone: "zone-a" }),
  });
  const before = store.plan();
  deepStrictEqual(get(before, "ns/web:http/TCP").cluster.map(({ ip }) => ip), ["10.0.0.0"]);
  store.node = nodeObject({ zone: "zone-b" });
  const after = store.plan();
  deepStrictEqual(get(after, "ns/web:http/TCP").cluster.map(({ ip }) => ip), ["10.0.0.1"]);
  strictEqual(get(after, "ns/api:http/TCP"), get(before, "ns/api:http/TCP"));
  strictEqual(after.node.hostAddresses, before.node.hostAddresses);
});

Deno.test("plan() sees addresses of the host come and go", () => {
  const planner = new Planner({ ...OPTIONS, nodePortAddresses: [parseCidr("192.168.0.0/24")] });
  const seen = snapshot(PARTS);
  const before = planner.plan(seen, HOST_ADDRESSES);
  strictEqual(planner.plan(seen, [...HOST_ADDRESSES]), before);
  const more = [...HOST_ADDRESSES, { interfaceName: "eth0", ip: parseIp("192.168.0.9") }];
  const after = planner.plan(seen, more);
  deepStrictEqual(after.node.nodePortAddresses, {
    kind: "some",
    addresses: ["192.168.0.2", "192.168.0.9"],
  });
  strictEqual(after.services, before.services);
});

Deno.test("plan() lists the ServiceCIDRs of its family, sorted and each once", () => {
  const serviceCidrs = [
    { name: "b", cidrs: [parseCidr("172.31.0.0/16"), parseCidr("fd00:172::/112")] },
    { name: "a", cidrs: [parseCidr("172.30.0.0/16")] },
    { name: "c", cidrs: [parseCidr("172.30.0.0/16")] },
  ];
  const store = new Store({ ...PARTS, serviceCidrs });
  const plan = store.plan();
  deepStrictEqual(plan.serviceCidrs, [parseCidr("172.30.0.0/16"), parseCidr("172.31.0.0/16")]);
  store.serviceCidrs.delete("c");
  strictEqual(store.plan(), plan);
  store.serviceCidrs.delete("a");
  deepStrictEqual(store.plan().serviceCidrs, [parseCidr("172.31.0.0/16")]);
});

Deno.test("plan() says a note once", () => {
  const slices = [slice({ endpoints: [sliceEndpoint("10.0.0.1", { zoneHints: ["zone-b"] })] })];
  const store = new Store({ ...PARTS, slices, node: nodeObject({ zone: "zone-a" }) });
  const [note] = store.plan().notes;
  deepStrictEqual(note, {
    level: "info",
    message: "Ignoring zone hints, none is for the zone of this node",
    fields: { service: "ns/web:http", family: "IPv4", node: "here", zone: "zone-a" },
  });
  const quiet = store.plan();
  deepStrictEqual(quiet.notes, []);
  strictEqual(store.plan(), quiet);
  store.setSlices(...slices.map((each) => ({ ...each })));
  strictEqual(store.plan(), quiet);
});

const NOTED: readonly [string, SnapshotParts][] = [
  ["Service has no health check node port", {
    services: [service({ type: "LoadBalancer", externalTrafficPolicy: "Local" })],
  }],
  ["No loadBalancerSourceRanges of this family, its addresses are unrestricted", {
    services: [service({
      loadBalancerIps: [parseIp("203.0.113.1")],
      loadBalancerSourceRanges: [parseCidr("2001:db8::/32")],
    })],
  }],
  ["Ignoring endpoint of the wrong family", {
    services: [WEB],
    slices: [slice({ endpoints: [sliceEndpoint("fd00::1")] })],
  }],
];
for (const [message, parts] of NOTED) {
  Deno.test(`plan() warns: ${message}`, () => {
    const { notes } = new Store({ ...parts, node: nodeObject() }).plan();
    deepStrictEqual(notes.map((note) => [note.level, note.message]), [["warning", message]]);
  });
}
