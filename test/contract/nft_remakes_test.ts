/**
 * Damage that is aimed: properties of what is ours which a glance at names, rules and elements does
 * not show. The next verification undoes it, the one after that finds nothing to do. Both ways to the
 * kernel, each in a namespace. Needs root, iproute2, nft and libnl.
 *
 * @module
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { NftablesBackend } from "../../src/backend/nftables/backend.ts";
import { SILENT } from "../../src/log.ts";
import { parseCidr, parseIp } from "../../src/model/ip.ts";
import type { Plan } from "../../src/model/plan.ts";
import { Planner } from "../../src/model/planner.ts";
import { canonicalNftables } from "../conformance/canonical/nftables.ts";
import {
  nodeObject,
  plannerOptions,
  service,
  slice,
  sliceEndpoint,
  snapshot,
} from "../support/builders.ts";
import { NFT_HANDLES, openNftNamespace } from "./nft_namespace.ts";

const CONFIG = {
  masqueradeBit: 14,
  masqueradeAll: false,
  syncPeriodMs: 1,
  minSyncPeriodMs: undefined,
};

const ENDPOINT = "JLNSEYXK-ns/sticky/tcp/http__10.0.0.1/8080";

/** A sticky service, one behind a firewall, one without endpoints. */
function planOf(): Plan {
  const planner = new Planner(plannerOptions({ nodePortAddresses: "primary" }));
  return planner.plan(
    snapshot({
      node: nodeObject(),
      serviceCidrs: [{ name: "kubernetes", cidrs: [parseCidr("172.30.0.0/16")] }],
      services: [
        service({ name: "sticky", affinitySeconds: 60 }),
        service({
          name: "guarded",
          type: "LoadBalancer",
          clusterIps: [parseIp("172.30.0.2")],
          loadBalancerIps: [parseIp("203.0.113.1")],
          loadBalancerSourceRanges: [parseCidr("198.51.100.0/24")],
        }),
        service({ name: "empty", clusterIps: [parseIp("172.30.0.3")] }),
      ],
      slices: ["sticky", "guarded"].map((name) =>
        slice({ name: `${name}-1`, serviceName: name, endpoints: [sliceEndpoint("10.0.0.1")] })
      ),
    }),
    [],
  );
}

function lines(...commands: readonly string[]): string {
  return commands.map((command) => `${command}\n`).join("");
}

/** What is done, the commands, and who alone can see it. */
const DAMAGES: readonly (readonly [string, string, (string | undefined)?])[] = [
  [
    "the policy of a base chain became drop",
    lines("chain ip kube-proxy filter-input { policy drop ; }"),
  ],
  ["the table sleeps", lines("add table ip kube-proxy { flags dormant ; }")],
  [
    "a base chain hangs elsewhere",
    lines(
      "flush chain ip kube-proxy nat-output",
      "delete chain ip kube-proxy nat-output",
      "add chain ip kube-proxy nat-output { type nat hook output priority 5 ; }",
    ),
  ],
  [
    "a base chain hangs nowhere",
    lines(
      "flush chain ip kube-proxy nat-output",
      "delete chain ip kube-proxy nat-output",
      "add chain ip kube-proxy nat-output",
    ),
  ],
  ...[
    ["intervals", "type ipv4_addr ; flags interval ;"],
    ["a time limit", "type ipv4_addr ; timeout 5s ;"],
    ["a size", "type ipv4_addr ; size 2 ;"],
    ["counters", "type ipv4_addr ; counter ;"],
    ["another type", "type inet_service ;"],
  ].map(([what = "", spec = ""]) =>
    [
      `a set with ${what} stands in the place of ours`,
      lines(
        "flush chain ip kube-proxy services",
        "flush chain ip kube-proxy cluster-ips-check",
        "delete set ip kube-proxy cluster-ips",
        `add set ip kube-proxy cluster-ips { ${spec} }`,
      ),
    ] as const
  ),
  ...[
    ["addresses", "type ipv4_addr . inet_proto . inet_service : ipv4_addr ;"],
    ["marks", "type mark : verdict ;"],
    ["a size", "type ipv4_addr . inet_proto . inet_service : verdict ; size 1 ;"],
  ].map(([what = "", spec = ""]) =>
    [
      `a map with ${what} stands in the place of ours`,
      lines(
        "flush chain ip kube-proxy services",
        "delete map ip kube-proxy service-ips",
        `add map ip kube-proxy service-ips { ${spec} }`,
      ),
    ] as const
  ),
  [
    "a map stands in the place of a set",
    lines(
      "flush chain ip kube-proxy services",
      "flush chain ip kube-proxy cluster-ips-check",
      "delete set ip kube-proxy cluster-ips",
      "add map ip kube-proxy cluster-ips { type ipv4_addr : verdict ; }",
    ),
  ],
  ...[
    ["of services", "type inet_service ; flags dynamic,timeout ; timeout 1m ;"],
    // `nft -j` of 1.0.6 does not tell whether rules may fill a set.
    ["that nothing can be added to", "type ipv4_addr ; timeout 1m ;", "NetlinkNft"],
    ["that forgets nothing", "type ipv4_addr ; flags dynamic ;"],
    ["of intervals", "type ipv4_addr ; flags interval ; timeout 1m ;"],
  ].map(([what = "", spec = "", only]) =>
    [
      `a set ${what} stands in the place of one for affinity`,
      lines(
        "flush chain ip kube-proxy service-SERVICE",
        `flush chain ip kube-proxy endpoint-${ENDPOINT}`,
        `delete set ip kube-proxy affinity-${ENDPOINT}`,
        `add set ip kube-proxy affinity-${ENDPOINT} { ${spec} }`,
      ),
      only,
    ] as const
  ),
  [
    "a map stands in the place of a set for affinity",
    lines(
      "flush chain ip kube-proxy service-SERVICE",
      `flush chain ip kube-proxy endpoint-${ENDPOINT}`,
      `delete set ip kube-proxy affinity-${ENDPOINT}`,
      `add map ip kube-proxy affinity-${ENDPOINT} { type ipv4_addr : verdict ; }`,
    ),
  ],
  [
    "an element of a protocol with a long name",
    lines("add element ip kube-proxy service-ips { 1.2.3.4 . ipv6-icmp . 9 : drop }"),
  ],
  [
    "an element of a protocol without a name",
    lines("add element ip kube-proxy service-nodeports { 253 . 9 : goto reject-chain }"),
  ],
];

for (const [kind, open] of NFT_HANDLES) {
  for (const [what, script] of DAMAGES.filter(([, , only = kind]) => only === kind)) {
    Deno.test(`${kind}: ${what}`, async () => {
      await using namespace = await openNftNamespace();
      const nft = open(namespace);
      const backend = new NftablesBackend({ family: "IPv4", nft, config: CONFIG, log: SILENT });
      const list = async () =>
        canonicalNftables(await namespace.nft("list", "table", "ip", "kube-proxy"));
      const plan = planOf();
      try {
        await backend.sync(plan);
        const before = await list();
        const service = /service-(\S+ns\/sticky\/\S+)/.exec(before)?.[1] ?? "";
        await namespace.load(script.replaceAll("SERVICE", service));
        backend.distrust();
        deepStrictEqual((await backend.sync(plan)).quarantined, []);
        strictEqual(await list(), before);
        backend.distrust();
        strictEqual((await backend.sync(plan)).bytesWritten, 0);
      } finally {
        backend.close();
      }
    });
  }
}
