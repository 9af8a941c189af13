import { deepStrictEqual } from "node:assert/strict";
import {
  nodeObject,
  plannerOptions,
  service,
  slice,
  sliceEndpoint,
  snapshot,
} from "../../test/support/builders.ts";
import { type Flow, needsConntrackCleanup, staleFlows } from "./conntrack.ts";
import { parseCidr, parseIp } from "./ip.ts";
import type { EndpointSlice, Protocol, Service, SliceEndpoint } from "./objects.ts";
import type { Plan } from "./plan.ts";
import { Planner } from "./planner.ts";

const CLIENT = parseIp("10.244.1.200");

/** The service of the conformance case conntrack-udp. */
const DNS = service({
  type: "LoadBalancer",
  clusterIps: [parseIp("10.96.35.1")],
  externalIps: [parseIp("198.51.100.35")],
  loadBalancerIps: [parseIp("203.0.113.35")],
  ports: [
    { name: "dns", protocol: "UDP", port: 53, nodePort: 32351 },
    { name: "dns-tcp", protocol: "TCP", port: 53, nodePort: 32352 },
  ],
});
const PORTS = [
  { name: "dns", protocol: "UDP", port: 5353 },
  { name: "dns-tcp", protocol: "TCP", port: 5353 },
] as const;

function dnsSlice(...endpoints: SliceEndpoint[]): EndpointSlice {
  return slice({ ports: PORTS, endpoints });
}

function makePlanner(nodePortAddresses: readonly string[] = []): Planner {
  return new Planner(plannerOptions({
    clusterCidrs: [],
    nodePortAddresses: nodePortAddresses.map(parseCidr),
  }));
}

const HOST_ADDRESSES = ["192.168.77.2", "192.168.78.2"].map((ip) => ({
  interfaceName: "eth0",
  ip: parseIp(ip),
}));

function planOf(services: readonly Service[], slices: readonly EndpointSlice[]): Plan {
  return makePlanner().plan(snapshot({ services, slices, node: nodeObject() }), HOST_ADDRESSES);
}

/** protocol, destination, port, who answers, from which port */
type Row = readonly [Protocol, string, number, string, number];

function flow([protocol, to, port, from, fromPort]: Row): Flow {
  return {
    family: "IPv4",
    protocol,
    original: {
      source: CLIENT,
      destination: parseIp(to),
      sourcePort: 40000,
      destinationPort: port,
    },
    reply: {
      source: parseIp(from),
      destination: CLIENT,
      sourcePort: fromPort,
      destinationPort: 40000,
    },
  };
}

const [KEPT, GONE] = ["10.244.1.35", "10.244.2.35"];
const FLOWS: readonly [string, Row, "stale" | "stays"][] = [
  ["CT-02 to an endpoint that serves", ["UDP", "10.96.35.1", 53, KEPT, 5353], "stays"],
  ["CT-02 to an endpoint that is gone", ["UDP", "10.96.35.1", 53, GONE, 5353], "stale"],
  ["CT-02 from before the service", ["UDP", "10.96.35.1", 53, "10.96.35.1", 53], "stale"],
  ["CT-02 to another port of an endpoint", ["UDP", "10.96.35.1", 53, KEPT, 5354], "stale"],
  ["CT-02 by an external IP", ["UDP", "198.51.100.35", 53, GONE, 5353], "stale"],
  ["CT-02 by a load-balancer VIP", ["UDP", "203.0.113.35", 53, GONE, 5353], "stale"],
  ["CT-02 by a node port", ["UDP", "192.168.77.2", 32351, GONE, 5353], "stale"],
  ["CT-02 by a node port, to one that serves", ["UDP", "192.168.77.2", 32351, KEPT, 5353], "stays"],
  ["CT-03 to that port of a stranger", ["UDP", "172.16.1.1", 32351, "172.16.1.1", 32351], "stays"],
  ["to another port of the ClusterIP", ["UDP", "10.96.35.1", 54, GONE, 5353], "stays"],
  ["to another ClusterIP", ["UDP", "10.96.77.1", 53, GONE, 5353], "stays"],
  ["to that port of the node itself", ["UDP", "192.168.77.2", 53, GONE, 5353], "stays"],
  ["CT-05 of TCP", ["TCP", "10.96.35.1", 53, GONE, 5353], "stays"],
  ["CT-05 of TCP by a node port", ["TCP", "192.168.77.2", 32352, GONE, 5353], "stays"],
];
for (const [what, row, want] of FLOWS) {
  Deno.test(`staleFlows(): a flow ${what} ${want === "stays" ? "stays" : "is stale"}`, () => {
    const plan = planOf([DNS], [dnsSlice(sliceEndpoint(KEPT), sliceEndpoint("10.244.3.35"))]);
    deepStrictEqual(staleFlows([flow(row)], plan).length, want === "stale" ? 1 : 0);
  });
}

const SERVING: readonly [string, Partial<SliceEndpoint>, number][] = [
  ["terminates but serves", { ready: false, terminating: true }, 0],
  ["is not ready but serves", { ready: false }, 0],
  ["serves no more", { ready: false, serving: false, terminating: true }, 1],
];
for (const [what, fields, want] of SERVING) {
  Deno.test(`CT-02 staleFlows() finds ${want} to an endpoint that ${what}`, () => {
    const plan = planOf([DNS], [dnsSlice(sliceEndpoint(KEPT, fields), sliceEndpoint("10.0.0.9"))]);
    deepStrictEqual(staleFlows([flow(["UDP", "10.96.35.1", 53, KEPT, 5353])], plan).length, want);
  });
}

Deno.test("CT-04 staleFlows() cleans a service whose last endpoint went", () => {
  const flows = FLOWS.map(([, row]) => flow(row));
  const destinations = staleFlows(flows, planOf([DNS], [])).map(({ original }) =>
    `${original.destination}:${original.destinationPort}`
  );
  deepStrictEqual([...new Set(destinations)], [
    "10.96.35.1:53",
    "198.51.100.35:53",
    "203.0.113.35:53",
    "192.168.77.2:32351",
  ]);
});

Deno.test("CT-03 staleFlows() matches node ports only where they answer", () => {
  const plan = makePlanner(["192.168.78.0/24"]).plan(
    snapshot({ services: [DNS], node: nodeObject() }),
    HOST_ADDRESSES,
  );
  const flows = ["192.168.77.2", "192.168.78.2"].map((ip) => flow(["UDP", ip, 32351, GONE, 5353]));
  deepStrictEqual(staleFlows(flows, plan), flows.slice(1));
});

Deno.test("staleFlows() leaves flows of the other family alone", () => {
  const flows = [{ ...flow(["UDP", "10.96.35.1", 53, GONE, 5353]), family: "IPv6" as const }];
  deepStrictEqual(staleFlows(flows, planOf([DNS], [])), []);
});

const ONE = dnsSlice(sliceEndpoint(KEPT));
const TCP_ONLY = service({ name: "tcp" });
const TCP_SLICE = slice({ name: "tcp-1", serviceName: "tcp", endpoints: [sliceEndpoint(KEPT)] });

type Objects = readonly [readonly Service[], readonly EndpointSlice[]];
const CLEANUPS: readonly [string, Objects | undefined, Objects, boolean][] = [
  ["CT-06 the first plan has a UDP port", undefined, [[DNS], [ONE]], true],
  ["the first plan has TCP only", undefined, [[TCP_ONLY], [TCP_SLICE]], false],
  ["nothing changed", [[DNS], [ONE]], [[DNS], [ONE]], false],
  ["EP-11 an endpoint came", [[DNS], []], [[DNS], [ONE]], true],
  ["EP-11 the last endpoint went", [[DNS], [ONE]], [[DNS], []], true],
  ["EP-11 an endpoint serves no more", [[DNS], [ONE]], [[DNS], [
    dnsSlice(sliceEndpoint(KEPT, { serving: false })),
  ]], true],
  ["EP-11 only the service changed", [[DNS], [ONE]], [[{ ...DNS, affinitySeconds: 1 }], [
    ONE,
  ]], false],
  ["endpoints of TCP changed", [[DNS, TCP_ONLY], [ONE]], [[DNS, TCP_ONLY], [
    ONE,
    TCP_SLICE,
  ]], false],
  ["a UDP service came", [[TCP_ONLY], [ONE]], [[TCP_ONLY, DNS], [ONE]], true],
  ["a UDP service went", [[TCP_ONLY, DNS], [ONE]], [[TCP_ONLY], [ONE]], false],
];
for (const [what, before, after, want] of CLEANUPS) {
  Deno.test(`needsConntrackCleanup() is ${want}: ${what}`, () => {
    const planner = makePlanner();
    const plans = [before, after].map((objects) => {
      if (objects === undefined) return undefined;
      const [services, slices] = objects;
      return planner.plan(snapshot({ services, slices, node: nodeObject() }), HOST_ADDRESSES);
    });
    const [previous, plan] = plans;
    deepStrictEqual([plan && needsConntrackCleanup(previous, plan)], [want]);
  });
}
