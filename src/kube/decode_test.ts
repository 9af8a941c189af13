import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { Random } from "../../test/support/random.ts";
import { parseIp } from "../model/ip.ts";
import { decodeGone, decodeObject } from "./decode.ts";
import { type JsonObject, parseObject } from "./json.ts";
import { resourceOf, RESOURCES } from "./resources.ts";
import { Store } from "./store.ts";

function decode(json: JsonObject): ReturnType<typeof decodeObject> {
  const resource = resourceOf(json);
  if (resource === undefined) throw new TypeError("not a watched object");
  return decodeObject(json, { resource, nodeName: "here" });
}

function node(fields: JsonObject): JsonObject {
  return { apiVersion: "v1", kind: "Node", metadata: { name: "here" }, ...fields };
}

Deno.test("decodeNode() puts internal addresses before external ones, NODE-02", () => {
  const addresses = [
    { type: "Hostname", address: "here" },
    { type: "ExternalIP", address: "203.0.113.7" },
    { type: "InternalIP", address: "192.168.0.2" },
    { type: "InternalIP", address: "FD00::2" },
    { type: "InternalIP", address: "nonsense" },
  ];
  const { change, note } = decode(node({
    metadata: {
      name: "here",
      labels: { "topology.kubernetes.io/zone": "z" },
      deletionTimestamp: "2026-01-01T00:00:00Z",
    },
    spec: {
      podCIDR: "10.0.0.0/24",
      podCIDRs: ["10.0.0.0/24", "fd00:1::/64"],
      taints: [{ key: "t" }],
    },
    status: { addresses },
  }));
  deepStrictEqual(change, {
    kind: "Node",
    key: "here",
    object: {
      name: "here",
      addresses: [parseIp("192.168.0.2"), parseIp("fd00::2"), parseIp("203.0.113.7")],
      podCidrs: [
        { address: "10.0.0.0", prefixLength: 24 },
        { address: "fd00:1::", prefixLength: 64 },
      ],
      zone: "z",
      deleting: true,
      taints: ["t"],
    },
  });
  strictEqual(
    note?.fields["problems"],
    'status.addresses[4].address: not an IP address: "nonsense"',
  );
});

Deno.test("decodeNode() takes podCIDR when there is no podCIDRs", () => {
  const { change } = decode(node({ spec: { podCIDR: "10.0.0.0/24" } }));
  ok(change?.kind === "Node");
  deepStrictEqual(change.object?.podCidrs, [{ address: "10.0.0.0", prefixLength: 24 }]);
});

Deno.test("decodeObject() ignores other Nodes, API-07", () => {
  const { change, note } = decode(node({ metadata: { name: "elsewhere" } }));
  deepStrictEqual(change, { kind: "Node", key: "elsewhere", object: undefined });
  strictEqual(note, undefined);
});

Deno.test("decodeServiceCidr() reads ranges and skips an object without any", () => {
  const json = {
    apiVersion: "networking.k8s.io/v1",
    kind: "ServiceCIDR",
    metadata: { name: "kubernetes" },
  };
  deepStrictEqual(decode({ ...json, spec: { cidrs: ["172.30.0.0/16", "x"] } }).change?.object, {
    name: "kubernetes",
    cidrs: [{ address: "172.30.0.0", prefixLength: 16 }],
  });
  const { change, note } = decode(json);
  strictEqual(change?.object, undefined);
  strictEqual(note?.fields["problems"], "spec.cidrs: empty");
});

Deno.test("decodeObject() says in one line which object is skipped and why", () => {
  const { note } = decode({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "ns" },
    spec: { clusterIP: "10.0.0.300" },
  });
  deepStrictEqual(note, {
    level: "warning",
    message: "Skipped an object that cannot be used",
    fields: {
      kind: "Service",
      object: "ns/web",
      problems: 'spec.clusterIP: not an IP address: "10.0.0.300"',
    },
  });
});

const NAMES = ['a"b', "a'b", "a\nb", "-j ACCEPT", "ä☃\u{1f600}", "x".repeat(253), "a b\t\u0000"];
for (const name of NAMES) {
  Deno.test(`decodeObject() keeps the name ${JSON.stringify(name).slice(0, 30)}`, () => {
    const { change } = decode({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace: name },
      spec: { clusterIP: "172.30.0.1", ports: [{ name, port: 80 }] },
    });
    ok(change?.kind === "Service");
    strictEqual(change.key, `${name}/${name}`);
    strictEqual(change.object?.ports[0]?.name, name);
  });
}

const BAD_NAMES: readonly (readonly [string, JsonObject, RegExp])[] = [
  ["none", {}, /^metadata\.name: missing$/],
  ["one that is no text", { name: 7 }, /^metadata\.name: missing$/],
  ["a slash in it", { name: "a/b" }, /^metadata\.name: has a slash: "a\/b"$/],
  [
    "a namespace with a slash",
    { name: "a", namespace: "b/c" },
    /^metadata\.namespace: has a slash/,
  ],
  ["more than 253 characters", { name: "x".repeat(254) }, /^metadata\.name: longer than 253/],
];
for (const [what, metadata, problem] of BAD_NAMES) {
  Deno.test(`decodeObject() has no key for an object whose name is ${what}`, () => {
    const json = { apiVersion: "v1", kind: "Service", metadata, spec: { clusterIP: "172.30.0.1" } };
    const { change, note } = decode(json);
    strictEqual(change, undefined);
    match(String(note?.fields["problems"]), problem);
    strictEqual(decodeGone(json, "Service"), undefined);
  });
}

Deno.test("decodeGone() needs no more than a name", () => {
  deepStrictEqual(decodeGone({ metadata: { name: "a", namespace: "b" } }, "EndpointSlice"), {
    kind: "EndpointSlice",
    key: "b/a",
    object: undefined,
  });
});

Deno.test("resourceOf() knows the watched kinds by version", () => {
  strictEqual(resourceOf({ kind: "Service", apiVersion: "v1" })?.path, "/api/v1/services");
  strictEqual(resourceOf({ kind: "Service", apiVersion: "serving.knative.dev/v1" }), undefined);
  strictEqual(resourceOf({ kind: "Secret", apiVersion: "v1" }), undefined);
});

const QUERIES = [
  ["Service", {
    labelSelector: "!service.kubernetes.io/service-proxy-name",
    fieldSelector: "spec.clusterIP!=None",
  }],
  ["EndpointSlice", { labelSelector: "!service.kubernetes.io/headless" }],
  ["Node", { fieldSelector: "metadata.name=here\\,or\\=there" }],
  ["ServiceCIDR", {}],
] as const;
for (const [kind, want] of QUERIES) {
  Deno.test(`RESOURCES selects ${kind} objects as kube-proxy does, API-05 to API-08`, () => {
    const resource = RESOURCES.find((each) => each.kind === kind);
    deepStrictEqual(resource?.query("here,or=there"), want);
  });
}

/** Words the decoders look for, and values that are nearly right. */
const KEYS = [
  "metadata name namespace labels annotations uid spec status clusterIP clusterIPs ports port",
  "protocol nodePort type externalIPs loadBalancer ingress ip ipMode loadBalancerSourceRanges",
  "sessionAffinity sessionAffinityConfig clientIP timeoutSeconds addressType endpoints addresses",
  "conditions ready hints forZones forNodes nodeName address podCIDRs podCIDR taints key cidrs",
  "kubernetes.io/service-name __proto__ constructor healthCheckNodePort toString length",
].join(" ").split(" ");
const VALUES: readonly unknown[] = [
  ["IPv4", "10.0.0.1", "fd00::1", "10.0.0.0/8", "None", "LoadBalancer", "ClientIP", "", "x"],
  ["::ffff:1.2.3.4", "1.2.3", "TCP", "VIP", "/", "\ud800", "here", "web"],
  [0, -1, 80, 1e300, 1.5, null, true, false],
].flat();

function randomJson(random: Random, depth: number): unknown {
  const kind = random.below(depth > 6 ? 1 : 4);
  if (kind === 0) return VALUES[random.below(VALUES.length)];
  const length = random.below(6);
  const children = Array.from({ length }, () => randomJson(random, depth + 1));
  if (kind === 1) return children;
  return Object.fromEntries(children.map((value) => [KEYS[random.below(KEYS.length)], value]));
}

Deno.test("decodeObject() and Store take any JSON without throwing", () => {
  const random = new Random(20260101);
  const store = new Store();
  let usable = 0;
  for (let round = 0; round < 4_000; round++) {
    const resource = RESOURCES[round % RESOURCES.length];
    if (resource === undefined) throw new TypeError("no resource");
    const json = {
      ...parseObject(randomJson(random, 0)),
      ...(round % 2 === 0 && { metadata: { name: `n${round % 10}`, namespace: "ns" } }),
      ...(round % 4 === 0 && { spec: randomJson(random, 1) }),
    };
    const { change } = decodeObject(json, { resource, nodeName: "n2" });
    if (change?.object !== undefined) usable++;
    if (change !== undefined) store.apply(change);
  }
  ok(usable > 100, `only ${usable} objects were usable: the test tests little`);
});
