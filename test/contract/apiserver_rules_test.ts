/**
 * What the embedded API server refuses, with the field it names, and what it allocates.
 *
 * @module
 */

import { deepStrictEqual, equal, match, ok } from "node:assert/strict";
import { type ApiServer, startApiServer, StatusError } from "../support/apiserver/mod.ts";
import { formatAddress, parseAddress, parseRange } from "../support/apiserver/addresses.ts";
import {
  type JsonObject,
  numberAt,
  objectsAt,
  textAt,
  textsAt,
} from "../support/apiserver/json.ts";

function service(spec: JsonObject, name = "web"): JsonObject {
  const metadata = { name, namespace: "default" };
  return { apiVersion: "v1", kind: "Service", metadata, spec: { ports: [{ port: 80 }], ...spec } };
}

function slice(fields: JsonObject): JsonObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "web-1", namespace: "default" },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.244.1.1"] }],
    ports: [{ port: 8080 }],
    ...fields,
  };
}

function endpoint(address: string): JsonObject {
  return slice({ endpoints: [{ addresses: [address] }] });
}

function node(spec: JsonObject): JsonObject {
  return { apiVersion: "v1", kind: "Node", metadata: { name: "n" }, spec };
}

function serviceCidr(...cidrs: string[]): JsonObject {
  const metadata = { name: "more" };
  return { apiVersion: "networking.k8s.io/v1", kind: "ServiceCIDR", metadata, spec: { cidrs } };
}

/** `422 field field`, `400`, or `ok`. */
function outcome(server: ApiServer, object: JsonObject): string {
  try {
    server.apply(object);
    return "ok";
  } catch (error) {
    ok(error instanceof StatusError, String(error));
    const fields = error.detail.causes?.map(({ field }) => field) ?? [];
    return [error.code, ...fields].join(" ");
  }
}

const LB = { type: "LoadBalancer" };
const BAD: readonly (readonly [JsonObject, string])[] = [
  [service({}, "1st"), "422 metadata.name"],
  [service({}, "Web"), "422 metadata.name"],
  [service({}, "a".repeat(64)), "422 metadata.name"],
  [service({ ports: [] }), "422 spec.ports"],
  [service({ ports: [{ port: 0 }] }), "422 spec.ports[0].port spec.ports[0].targetPort"],
  [service({ ports: [{ port: 65_536 }] }), "422 spec.ports[0].port spec.ports[0].targetPort"],
  [service({ ports: [{ port: "80" }] }), "400"],
  [service({ ports: [{ port: 1.5 }] }), "400"],
  [service({ ports: "80" }), "400"],
  [service({ ports: [{ port: 1 }, { port: 2 }] }), "422 spec.ports[0].name spec.ports[1].name"],
  [service({ ports: [{ name: "a", port: 1 }, { name: "a", port: 2 }] }), "422 spec.ports[1].name"],
  [service({ ports: [{ name: "a", port: 1 }, { name: "b", port: 1 }] }), "422 spec.ports[1]"],
  [service({ ports: [{ name: "A", port: 1 }] }), "422 spec.ports[0].name"],
  [service({ ports: [{ port: 1, protocol: "ICMP" }] }), "422 spec.ports[0].protocol"],
  [
    service({ ports: [{ port: 1, targetPort: "way-too-long-a-name" }] }),
    "422 spec.ports[0].targetPort",
  ],
  [service({ ports: [{ port: 1, nodePort: 30_001 }] }), "422 spec.ports[0].nodePort"],
  [service({ type: "NodePort", ports: [{ port: 1, nodePort: 80 }] }), "422 spec.ports[0].nodePort"],
  [
    service({ type: "NodePort", ports: [{ port: 1, nodePort: 31_000 }] }),
    "422 spec.ports[0].nodePort",
  ],
  [service({ type: "Nonsense" }), "422 spec.type"],
  [service({ clusterIP: "10.96.0.999" }), "422 spec.clusterIPs[0]"],
  [service({ clusterIP: "10.096.0.9" }), "422 spec.clusterIPs[0]"],
  [service({ clusterIP: "192.0.2.1" }), "422 spec.clusterIPs[0]"],
  [service({ clusterIP: "10.96.0.77" }), "422 spec.clusterIPs[0]"],
  [service({ clusterIP: "10.96.0.5", clusterIPs: ["10.96.0.6"] }), "422 spec.clusterIPs[0]"],
  [service({ clusterIP: "None", type: "NodePort" }), "422 spec.clusterIPs[0]"],
  [service({ ipFamilies: ["IPv5"] }), "422 spec.ipFamilies[0]"],
  [service({ ipFamilies: ["IPv4", "IPv4"] }), "422 spec.ipFamilies[1]"],
  [service({ ipFamilyPolicy: "Dual" }), "422 spec.ipFamilyPolicy"],
  [
    service({ ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "SingleStack" }),
    "422 spec.ipFamilyPolicy",
  ],
  [service({ externalIPs: ["127.0.0.1"] }), "422 spec.externalIPs[0]"],
  [service({ externalIPs: ["1.2.3"] }), "422 spec.externalIPs[0]"],
  [service({ sessionAffinity: "Cookie" }), "422 spec.sessionAffinity"],
  [
    service({
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 86_401 } },
    }),
    "422 spec.sessionAffinityConfig.clientIP.timeoutSeconds",
  ],
  [
    service({ sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } } }),
    "422 spec.sessionAffinityConfig",
  ],
  [service({ externalTrafficPolicy: "Local" }), "422 spec.externalTrafficPolicy"],
  [service({ ...LB, externalTrafficPolicy: "Near" }), "422 spec.externalTrafficPolicy"],
  [service({ internalTrafficPolicy: "Near" }), "422 spec.internalTrafficPolicy"],
  [service({ trafficDistribution: "Far" }), "422 spec.trafficDistribution"],
  [service({ ...LB, healthCheckNodePort: 30_500 }), "422 spec.healthCheckNodePort"],
  [
    service({ ...LB, loadBalancerSourceRanges: ["10.0.0.0"] }),
    "422 spec.loadBalancerSourceRanges[0]",
  ],
  [
    service({ ...LB, loadBalancerSourceRanges: ["10.0.0.0/33"] }),
    "422 spec.loadBalancerSourceRanges[0]",
  ],
  [service({ loadBalancerSourceRanges: ["10.0.0.0/8"] }), "422 spec.loadBalancerSourceRanges"],
  [service({ allocateLoadBalancerNodePorts: false }), "422 spec.allocateLoadBalancerNodePorts"],
  [service({ type: "ExternalName" }), "422 spec.externalName"],
  [service({ selector: { "bad key": "x" } }), "422 spec.selector"],
  [
    { ...service(LB), status: { loadBalancer: { ingress: [{ ip: "nonsense" }] } } },
    "422 status.loadBalancer.ingress[0].ip",
  ],
  [
    { ...service({}), status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } } },
    "422 status.loadBalancer.ingress",
  ],
  [{ ...service({}), metadata: { namespace: "default" } }, "422 metadata.name"],
  [
    { ...service({}), metadata: { name: "x", namespace: "Not A Namespace" } },
    "422 metadata.namespace",
  ],
  [{ ...service({}), apiVersion: "v2" }, "400"],
  [endpoint("10.244.1"), "422 endpoints[0].addresses[0]"],
  [endpoint("010.244.1.1"), "422 endpoints[0].addresses[0]"],
  [endpoint("fd00::1"), "422 endpoints[0].addresses[0]"],
  [endpoint("127.0.0.1"), "422 endpoints[0].addresses[0]"],
  [endpoint("169.254.1.1"), "422 endpoints[0].addresses[0]"],
  [slice({ endpoints: [{ addresses: [] }] }), "422 endpoints[0].addresses"],
  [slice({ addressType: "IP" }), "422 addressType endpoints[0].addresses[0]"],
  [slice({ ports: [{ port: 70_000 }] }), "422 ports[0].port"],
  [slice({ ports: [{ port: 1 }, { port: 2 }] }), "422 ports[1].name"],
  [slice({ ports: [{ name: "Nope!", port: 1 }] }), "422 ports[0].name"],
  [slice({ ports: Array.from({ length: 20_001 }, () => ({ port: 1 })) }), "422 ports"],
  [
    slice({ endpoints: Array.from({ length: 1_001 }, () => ({ addresses: ["10.0.0.1"] })) }),
    "422 endpoints",
  ],
  [slice({ endpoints: [{ addresses: ["10.0.0.1"], conditions: { ready: "yes" } }] }), "400"],
  [node({ podCIDRs: ["10.244.0.0/24", "10.245.0.0/24"] }), "422 spec.podCIDRs"],
  [node({ podCIDR: "10.244.0.0" }), "422 spec.podCIDRs[0]"],
  [node({ taints: [{ key: "a", effect: "Sometimes" }] }), "422 spec.taints[0].effect"],
  [serviceCidr(), "422 spec.cidrs"],
  [serviceCidr("10.0.0.1/24"), "422 spec.cidrs[0]"],
  [serviceCidr("10.0.0.0/24", "10.1.0.0/24"), "422 spec.cidrs"],
];

Deno.test("apiserver: refuses what the real one would refuse", async (t) => {
  await using server = await startApiServer();
  server.apply(service({
    clusterIP: "10.96.0.77",
    type: "NodePort",
    ports: [{ port: 1, nodePort: 31_000 }],
  }, "taken"));
  const { version } = server;
  for (const [object, want] of BAD) {
    const { spec, metadata, ...rest } = object;
    const text = JSON.stringify({ spec, metadata, ...rest }).slice(0, 90);
    await t.step(`${want}: ${text}`, () => equal(outcome(server, object), want));
  }
  equal(server.version, version, "nothing was written");
});

Deno.test("apiserver: takes everything when told not to validate", async () => {
  await using server = await startApiServer({ validate: false, bootstrap: false });
  equal(outcome(server, service({ ports: [{ port: 99_999 }], clusterIP: "1.2.3" }, "Bad")), "ok");
});

Deno.test("apiserver: refuses updates of what may not change", async (t) => {
  await using server = await startApiServer({ bootstrap: false });
  server.apply(service({ clusterIP: "10.96.0.9" }));
  server.apply(slice({}), node({ podCIDRs: ["10.244.0.0/24"] }), serviceCidr("10.0.0.0/24"));
  const rows = [
    [service({ clusterIP: "10.96.0.10" }), "422 spec.clusterIPs[0]"],
    [service({ clusterIP: "None" }), "422 spec.clusterIPs[0]"],
    [service({}), "ok"],
    [slice({ addressType: "IPv6", endpoints: [] }), "422 addressType"],
    [node({ podCIDRs: ["10.244.1.0/24"] }), "422 spec.podCIDRs"],
    [serviceCidr("10.0.1.0/24"), "422 spec.cidrs"],
    [serviceCidr("10.0.0.0/24", "fd00::/64"), "ok"],
  ] as const;
  for (const [object, want] of rows) {
    await t.step(`${want}: ${JSON.stringify(object["spec"] ?? object)}`, () => {
      equal(outcome(server, object), want);
    });
  }
});

Deno.test("apiserver: allocates addresses and ports, keeps them, and gives them back", async () => {
  await using server = await startApiServer({ bootstrap: false });
  const apply = (object: JsonObject): JsonObject => server.apply(object)[0] ?? {};
  const local = { ...LB, externalTrafficPolicy: "Local", ipFamilyPolicy: "PreferDualStack" };
  const ports = [{ name: "t", port: 53 }, { name: "u", port: 53, protocol: "UDP" }];
  const first = apply(service({ ...local, ports }, "first"));
  const second = apply(service({ type: "NodePort" }, "second"));
  const [v4 = "", v6 = ""] = textsAt(first, "spec.clusterIPs");
  match(v4, /^10\.(9[6-9]|10\d|11[01])\./);
  match(v6, /^fd00:10:96::/);
  equal(textAt(first, "spec.clusterIP"), v4);
  const nodePortsOf = (object: JsonObject) =>
    objectsAt(object, "spec.ports").map((port) => numberAt(port, "nodePort"));
  const [tcp = 0, udp = 0] = nodePortsOf(first);
  equal(tcp, udp, "the same port over two protocols has one node port");
  const check = numberAt(first, "spec.healthCheckNodePort");
  const [other = 0] = nodePortsOf(second);
  equal(new Set([tcp, check, other]).size, 3);
  ok([tcp, check, other].every((port) => port >= 30_000 && port <= 32_767));

  deepStrictEqual(textsAt(apply(service({ ...local, ports }, "first")), "spec.clusterIPs"), [
    v4,
    v6,
  ]);
  const plain = apply(service({ type: "ClusterIP", ports }, "first"));
  deepStrictEqual(nodePortsOf(plain), [0, 0]);
  equal(outcome(server, service({ type: "NodePort", ports: [{ port: 1, nodePort: tcp }] })), "ok");
  server.delete({ apiVersion: "v1", kind: "Service", name: "first" });
  equal(outcome(server, service({ clusterIP: v4 }, "heir")), "ok");
});

Deno.test("apiserver: a ServiceCIDR makes room for further addresses", async () => {
  await using server = await startApiServer({ bootstrap: false, serviceRanges: ["10.96.0.0/30"] });
  equal(outcome(server, service({ clusterIP: "10.200.0.1" })), "422 spec.clusterIPs[0]");
  equal(outcome(server, service({ ipFamilies: ["IPv6"] })), "422 spec.ipFamilies[0]");
  server.apply(service({}, "a"), service({}, "b"));
  equal(outcome(server, service({}, "c")), "422 spec.clusterIPs[0]");
  server.apply(serviceCidr("10.200.0.0/24"));
  equal(outcome(server, service({ clusterIP: "10.200.0.1" })), "ok");
  equal(outcome(server, service({}, "c")), "ok");
});

Deno.test("apiserver: 10,000 services and slices are written and read in seconds", async () => {
  await using server = await startApiServer({ bootstrap: false });
  const begin = performance.now();
  for (let i = 0; i < 5_000; i++) {
    server.apply(service({}, `s${i}`));
    server.apply({
      ...slice({}),
      metadata: { name: `s${i}-1`, labels: { "kubernetes.io/service-name": `s${i}` } },
    });
  }
  const spentMs = performance.now() - begin;
  equal(server.list("v1", "Service").length, 5_000);
  ok(spentMs < 10_000, `${spentMs} ms`);
});

const ADDRESSES = [
  ["10.0.0.1", "10.0.0.1"],
  ["fd00:0:0:1:0:0:0:1", "fd00:0:0:1::1"],
  ["fd00::", "fd00::"],
  ["::", "::"],
  ["::ffff:1.2.3.4", "::ffff:102:304"],
  ["1:0:0:2:0:0:3:4", "1::2:0:0:3:4"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ["10:0:0:0:0:0:0:100", "10::100"],
] as const;

for (const [text, want] of ADDRESSES) {
  Deno.test(`formatAddress() of ${text} is ${want}`, () => {
    const address = parseAddress(text);
    equal(address && formatAddress(address), want);
  });
}

Deno.test("parseRange() refuses what is no range", () => {
  for (const text of ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "x/8", "::/129"]) {
    equal(parseRange(text), undefined, text);
  }
});
