import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import type { Service } from "../model/objects.ts";
import { decodeObject } from "./decode.ts";
import type { JsonObject } from "./json.ts";
import { resourceOf } from "./resources.ts";

interface Parts {
  readonly metadata?: JsonObject;
  readonly spec?: JsonObject;
  readonly status?: JsonObject;
}

function decode(parts: Parts): { service: Service | undefined; problems: string } {
  const json = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "ns", ...parts.metadata },
    spec: { clusterIP: "172.30.0.1", ports: [{ port: 80 }], ...parts.spec },
    status: parts.status,
  };
  const resource = resourceOf(json);
  if (resource === undefined) throw new TypeError("a Service is a resource");
  const { change, note } = decodeObject(json, { resource, nodeName: "here" });
  if (change?.kind !== "Service") throw new TypeError("a Service is a Service");
  return { service: change.object, problems: String(note?.fields["problems"] ?? "") };
}

Deno.test("decodeService() fills in the defaults of the API server", () => {
  deepStrictEqual(decode({}), {
    service: {
      namespace: "ns",
      name: "web",
      uid: "",
      type: "ClusterIP",
      clusterIps: ["172.30.0.1"],
      externalIps: [],
      loadBalancerIps: [],
      loadBalancerSourceRanges: [],
      ports: [{ name: "", protocol: "TCP", port: 80, nodePort: 0 }],
      affinitySeconds: 0,
      internalTrafficPolicy: "Cluster",
      externalTrafficPolicy: "Cluster",
      healthCheckNodePort: 0,
    },
    problems: "",
  });
});

Deno.test("decodeService() reads every field", () => {
  const { service, problems } = decode({
    metadata: { uid: "u" },
    spec: {
      type: "LoadBalancer",
      clusterIP: "172.30.0.1",
      clusterIPs: ["172.30.0.1", "FD00:0:0::1"],
      ports: [{ name: "dns", protocol: "UDP", port: 53, nodePort: 30053, targetPort: "dns" }],
      externalIPs: ["203.0.113.1", "2001:db8::1", "203.0.113.1"],
      loadBalancerSourceRanges: [" 10.0.0.0/8 ", "::/0"],
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 7 } },
      internalTrafficPolicy: "Local",
      externalTrafficPolicy: "Local",
      healthCheckNodePort: 31000,
    },
    status: { loadBalancer: { ingress: [{ ip: "203.0.113.5", ipMode: "VIP" }] } },
  });
  strictEqual(problems, "");
  deepStrictEqual(service, {
    namespace: "ns",
    name: "web",
    uid: "u",
    type: "LoadBalancer",
    clusterIps: ["172.30.0.1", "fd00::1"],
    externalIps: ["203.0.113.1", "2001:db8::1"],
    loadBalancerIps: ["203.0.113.5"],
    loadBalancerSourceRanges: [
      { address: "10.0.0.0", prefixLength: 8 },
      { address: "::", prefixLength: 0 },
    ],
    ports: [{ name: "dns", protocol: "UDP", port: 53, nodePort: 30053 }],
    affinitySeconds: 7,
    internalTrafficPolicy: "Local",
    externalTrafficPolicy: "Local",
    healthCheckNodePort: 31000,
  });
});

const QUIET: readonly (readonly [string, Parts])[] = [
  ["headless", { spec: { clusterIP: "None" } }],
  ["headless by clusterIPs", { spec: { clusterIP: undefined, clusterIPs: ["None"] } }],
  ["ExternalName", { spec: { type: "ExternalName", externalName: "example.org" } }],
  ["another proxy's, API-05", {
    metadata: { labels: { "service.kubernetes.io/service-proxy-name": "" } },
  }],
];
for (const [what, parts] of QUIET) {
  Deno.test(`decodeService() skips a Service quietly that is ${what}, SVC-01`, () => {
    deepStrictEqual(decode(parts), { service: undefined, problems: "" });
  });
}

const CLUSTER_IPS: readonly (readonly [string, JsonObject, readonly string[]])[] = [
  ["clusterIP alone", { clusterIP: "172.30.0.9" }, ["172.30.0.9"]],
  ["clusterIPs alone", { clusterIP: undefined, clusterIPs: ["fd00::9"] }, ["fd00::9"]],
  ["an empty clusterIPs", { clusterIP: "172.30.0.9", clusterIPs: [] }, ["172.30.0.9"]],
  ["the first of each family", { clusterIPs: ["fd00::1", "172.30.0.1", "fd00::2"] }, [
    "fd00::1",
    "172.30.0.1",
  ]],
  ["leading zeros, SVC-12", { clusterIP: "172.030.000.009" }, ["172.30.0.9"]],
  ["one usable of two", { clusterIPs: ["nonsense", "fd00::1"] }, ["fd00::1"]],
];
for (const [what, spec, want] of CLUSTER_IPS) {
  Deno.test(`decodeService() takes ClusterIPs from ${what}`, () => {
    deepStrictEqual(decode({ spec }).service?.clusterIps, want);
  });
}

const UNUSABLE: readonly (readonly [string, JsonObject, RegExp])[] = [
  ["no ClusterIP", { clusterIP: undefined }, /^spec\.clusterIP: not an IP address: null$/],
  ["a bad ClusterIP", { clusterIP: "10.0.0.256" }, /^spec\.clusterIP: .*"10\.0\.0\.256"$/],
  ["a ClusterIP that is no text", { clusterIP: { a: 1 } }, /^spec\.clusterIP: .*: an object$/],
  ["an unknown type", { type: "Magic" }, /^spec\.type: not a type of Service: "Magic"$/],
];
for (const [what, spec, problem] of UNUSABLE) {
  Deno.test(`decodeService() skips a Service with ${what} and says why`, () => {
    const { service, problems } = decode({ spec });
    strictEqual(service, undefined);
    match(problems, problem);
  });
}

const LEFT_OUT: readonly (readonly [string, Parts, Partial<Service>, RegExp])[] = [
  [
    "a port without a number",
    { spec: { ports: [{ name: "a" }, { name: "b", port: 81 }] } },
    { ports: [{ name: "b", protocol: "TCP", port: 81, nodePort: 0 }] },
    /^spec\.ports\[0\]\.port: not a whole number from 1 to 65535: null$/,
  ],
  [
    "ports of wrong type, size and protocol",
    {
      spec: {
        ports: [{ port: "80" }, { port: 65536 }, { port: 1.5 }, { port: 1, protocol: "tcp" }],
      },
    },
    { ports: [] },
    /^spec\.ports\[0\].*; spec\.ports\[1\].*; spec\.ports\[2\].*; spec\.ports\[3\]\.protocol/,
  ],
  [
    "the second port of a name",
    { spec: { ports: [{ name: "a", port: 1 }, { name: "a", port: 2 }] } },
    { ports: [{ name: "a", protocol: "TCP", port: 1, nodePort: 0 }] },
    /^spec\.ports\[1\]: a port of this name was there already: "a"$/,
  ],
  [
    "a bad external IP",
    { spec: { externalIPs: ["example.org", "203.0.113.1"] } },
    { externalIps: ["203.0.113.1"] as unknown as Service["externalIps"] },
    /^spec\.externalIPs\[0\]: not an IP address: "example\.org"$/,
  ],
  [
    "an affinity timeout out of range",
    {
      spec: {
        sessionAffinity: "ClientIP",
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } },
      },
    },
    { affinitySeconds: 10800 },
    /timeoutSeconds: not a whole number from 1 to 86400: 0$/,
  ],
];
for (const [what, parts, want, problem] of LEFT_OUT) {
  Deno.test(`decodeService() leaves out ${what} and uses the rest`, () => {
    const { service, problems } = decode(parts);
    for (const [name, value] of Object.entries(want)) {
      deepStrictEqual(service?.[name as keyof Service], value);
    }
    match(problems, problem);
  });
}

const INGRESS: readonly (readonly [string, unknown, readonly string[]])[] = [
  ["an IP without mode", [{ ip: "203.0.113.5" }], ["203.0.113.5"]],
  ["mode Proxy", [{ ip: "203.0.113.5", ipMode: "Proxy" }], []],
  ["a hostname", [{ hostname: "lb.example.org" }], []],
  ["anything but a list", { ip: "203.0.113.5" }, []],
];
for (const [what, ingress, want] of INGRESS) {
  Deno.test(`decodeService() reads load balancer ingress with ${what}, SVC-06`, () => {
    const { service, problems } = decode({ status: { loadBalancer: { ingress } } });
    deepStrictEqual(service?.loadBalancerIps, want);
    strictEqual(problems, "");
  });
}

const GUARDED: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ["all that there are", ["10.0.0.0/33"], []],
  ["all of one family", ["10.0.0.0/33", "2001:db8::/32"], ["2001:db8::5"]],
  ["one of two", ["10.0.0.0/33", "192.0.2.0/24"], ["203.0.113.5"]],
];
for (const [what, loadBalancerSourceRanges, want] of GUARDED) {
  Deno.test(`decodeService() opens no load balancer when the unreadable ranges are ${what}`, () => {
    const status = {
      loadBalancer: { ingress: [{ ip: "203.0.113.5" }, { ip: "2001:db8::5" }] },
    };
    const { service } = decode({
      spec: { type: "LoadBalancer", loadBalancerSourceRanges },
      status,
    });
    deepStrictEqual(service?.loadBalancerIps, want);
  });
}

Deno.test("decodeService() has an affinity of three hours when no time is given, SVC-04", () => {
  strictEqual(decode({ spec: { sessionAffinity: "ClientIP" } }).service?.affinitySeconds, 10800);
  strictEqual(decode({ spec: { sessionAffinity: "None" } }).service?.affinitySeconds, 0);
});
