import { deepStrictEqual } from "node:assert/strict";
import { nodeObject } from "../../test/support/builders.ts";
import { parseCidr, parseIp } from "./ip.ts";
import { nodeFacts, nodeNotes } from "./node.ts";
import type { DetectLocal, NodeOptions } from "./node.ts";
import type { NodeObject } from "./objects.ts";
import type { LocalTraffic, NodePortAddresses } from "./plan.ts";

const OPTIONS: NodeOptions = {
  family: "IPv4",
  nodeName: "here",
  detectLocal: { kind: "ClusterCIDR" },
  clusterCidrs: [],
  nodePortAddresses: [],
};

const HOST_ADDRESSES = [
  ["eth1", "192.168.78.2"],
  ["eth0", "192.168.0.2"],
  ["eth0", "fd00:77::2"],
  ["lo", "127.0.0.1"],
  ["lo", "::1"],
  ["eth0", "192.168.0.200"],
  ["eth1", "192.168.0.2"],
  ["kube-ipvs0", "172.30.0.1"],
].map(([interfaceName = "", ip = ""]) => ({ interfaceName, ip: parseIp(ip) }));

function facts(node: NodeObject | undefined, options: Partial<NodeOptions> = {}) {
  return nodeFacts({ node, hostAddresses: HOST_ADDRESSES }, { ...OPTIONS, ...options });
}

const IPS: readonly [string, NodeObject | undefined, Partial<NodeOptions>, string][] = [
  ["NODE-02 the first of the family", nodeObject(), {}, "192.168.0.2"],
  ["NODE-02 of the other family", nodeObject(), { family: "IPv6" }, "fd00:77::2"],
  ["NODE-03 bindAddress", nodeObject(), { nodeIp: parseIp("192.168.0.9") }, "192.168.0.9"],
  ["NODE-03 bindAddress of the other family", nodeObject(), {
    nodeIp: parseIp("fd00::9"),
  }, "192.168.0.2"],
  ["NODE-03 unspecified bindAddress", nodeObject(), { nodeIp: parseIp("0.0.0.0") }, "192.168.0.2"],
  ["NODE-04 loopback without a node", undefined, {}, "127.0.0.1"],
  ["NODE-04 loopback without an address", nodeObject({ addresses: [parseIp("192.168.0.2")] }), {
    family: "IPv6",
  }, "::1"],
];
for (const [what, node, options, want] of IPS) {
  Deno.test(`nodeFacts() ip: ${what}`, () => deepStrictEqual(facts(node, options).ip, want));
}

Deno.test("nodeFacts() has the zone, and the host's own addresses sorted and each once", () => {
  const { name, zone, hostAddresses } = facts(nodeObject({ zone: "zone-a" }));
  deepStrictEqual({ name, zone, hostAddresses }, {
    name: "here",
    zone: "zone-a",
    hostAddresses: ["127.0.0.1", "192.168.0.2", "192.168.0.200", "192.168.78.2"],
  });
  deepStrictEqual(facts(undefined, { family: "IPv6" }).hostAddresses, ["::1", "fd00:77::2"]);
  deepStrictEqual(facts(undefined).zone, "");
});

const CLUSTER_CIDRS = [parseCidr("10.0.0.0/8"), parseCidr("fd00:10::/48")];
const POD_CIDRS = { podCidrs: [parseCidr("fd00:10:1::/64"), parseCidr("10.1.0.0/16")] };
const DETECTORS: readonly [string, DetectLocal, Partial<NodeOptions>, LocalTraffic][] = [
  ["ClusterCIDR", { kind: "ClusterCIDR" }, { clusterCidrs: CLUSTER_CIDRS }, {
    kind: "source",
    cidr: parseCidr("10.0.0.0/8"),
  }],
  ["ClusterCIDR of IPv6", { kind: "ClusterCIDR" }, {
    clusterCidrs: CLUSTER_CIDRS,
    family: "IPv6",
  }, { kind: "source", cidr: parseCidr("fd00:10::/48") }],
  ["ClusterCIDR without one", { kind: "ClusterCIDR" }, {}, { kind: "none" }],
  ["NodeCIDR", { kind: "NodeCIDR" }, { clusterCidrs: CLUSTER_CIDRS }, {
    kind: "source",
    cidr: parseCidr("10.1.0.0/16"),
  }],
  ["BridgeInterface", { kind: "BridgeInterface", interfaceName: "cbr0" }, {}, {
    kind: "bridge",
    interfaceName: "cbr0",
  }],
  ["InterfaceNamePrefix", { kind: "InterfaceNamePrefix", interfacePrefix: "veth" }, {}, {
    kind: "prefix",
    interfacePrefix: "veth",
  }],
];
for (const [what, detectLocal, options, want] of DETECTORS) {
  Deno.test(`nodeFacts() local traffic: ${what}`, () => {
    const node = nodeObject(POD_CIDRS);
    deepStrictEqual(facts(node, { ...options, detectLocal }).localTraffic, want);
  });
}

Deno.test("nodeFacts() knows no pods before the node has a podCIDR", () => {
  const options = { detectLocal: { kind: "NodeCIDR" } } as const;
  deepStrictEqual(facts(undefined, options).localTraffic, { kind: "none" });
  deepStrictEqual(facts(nodeObject(), options).localTraffic, { kind: "none" });
});

function some(...addresses: string[]): NodePortAddresses {
  return { kind: "some", addresses: addresses.map(parseIp) };
}

const ALL: NodePortAddresses = { kind: "all" };
const NODE_PORT_ADDRESSES: readonly [readonly string[] | "primary", NodePortAddresses][] = [
  [[], ALL],
  [["0.0.0.0/0"], ALL],
  [["192.168.0.0/24", "0.0.0.0/0"], ALL],
  [["fd00::/16"], ALL],
  [["192.168.0.0/24", "::/0"], some("192.168.0.2", "192.168.0.200")],
  [
    ["192.168.78.0/24", "192.168.0.2/32", "192.168.0.0/24"],
    some("192.168.0.2", "192.168.0.200", "192.168.78.2"),
  ],
  [["127.0.0.0/8"], some("127.0.0.1")],
  [["10.0.0.0/8"], some()],
  ["primary", some("192.168.0.2")],
];
for (const [wanted, want] of NODE_PORT_ADDRESSES) {
  Deno.test(`nodeFacts() node ports with nodePortAddresses ${wanted}`, () => {
    const nodePortAddresses = wanted === "primary" ? wanted : wanted.map(parseCidr);
    deepStrictEqual(facts(nodeObject(), { nodePortAddresses }).nodePortAddresses, want);
  });
}

Deno.test("NODE-10 primary restricts nothing while the address is unknown, as in kube-proxy", () => {
  deepStrictEqual(facts(undefined, { nodePortAddresses: "primary" }).nodePortAddresses, ALL);
});

Deno.test("nodeNotes() tells what surprises people", () => {
  const options: NodeOptions = { ...OPTIONS, nodePortAddresses: [parseCidr("10.0.0.0/8")] };
  const notes = nodeNotes(facts(undefined, options), options);
  deepStrictEqual(notes.map(({ level, message }) => [level, message]), [
    ["info", "Node has no address of this family, using loopback"],
    ["warning", "No address of this node matches nodePortAddresses, node ports do not answer"],
    ["info", "No local traffic detector for this family"],
  ]);
  const good = { ...OPTIONS, clusterCidrs: CLUSTER_CIDRS };
  deepStrictEqual(nodeNotes(facts(nodeObject(), good), good), []);
});
