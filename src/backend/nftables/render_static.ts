/**
 * What is in the table whatever services there are (FACTS NFT-02 to NFT-05, NFT-07, NFT-09, NFT-14).
 *
 * @module
 */

import type { BaseHook, Chain, Rule, Selector, Statement } from "../../kernel/nft/values.ts";
import { type Cidr, isLoopback, parseCidr } from "../../model/ip.ts";
import { type Context, localTraffic } from "./context.ts";
import type { Part, Placed } from "./desired.ts";

/** Where packets to services without endpoints go. */
export const REJECT_CHAIN = "reject-chain";

/** The table without services. */
export function renderStatic(context: Context): Part {
  const { containers } = context;
  const chains = [
    ...BASE_CHAINS,
    clusterIpsCheck(context),
    { name: "firewall-check", rules: [vmapRule(DESTINATION, containers.firewallIps.name)] },
    masquerading(context),
    nodePortEndpointsCheck(context),
    REJECT,
    {
      name: "service-endpoints-check",
      rules: [vmapRule(DESTINATION, containers.noEndpointServices.name)],
    },
    services(context),
  ];
  const { nodePortIps, ...others } = containers;
  const isListed = context.node.nodePortAddresses.kind === "some";
  return {
    chains,
    sets: isListed ? [...Object.values(others), nodePortIps] : Object.values(others),
    elements: nodePortElements(context),
  };
}

/** A rule that marks packets, so that their source is replaced on the way out. */
export function markRule(
  { masqueradeMark }: Context,
  { comment, matches = [] }: { readonly comment: string; readonly matches?: readonly Statement[] },
): Rule {
  const mark: Statement = { kind: "mark-set", op: "or", bits: masqueradeMark };
  return { statements: [...matches, mark], comment };
}

const DESTINATION: readonly Selector[] = ["daddr", "l4proto", "dport"];

/** Hooks and priorities as in `man nft`: dstnat is -100, and 10 before it is before DNAT. */
const HOOKS: readonly (readonly [string, BaseHook, readonly string[]])[] = [
  ["filter-prerouting-pre-dnat", { type: "filter", hook: "prerouting", priority: -110 }, [
    "firewall-check",
  ]],
  ["filter-output-pre-dnat", { type: "filter", hook: "output", priority: -110 }, [
    "firewall-check",
  ]],
  ["filter-input", { type: "filter", hook: "input", priority: 0 }, [
    "nodeport-endpoints-check",
    "service-endpoints-check",
  ]],
  ["filter-forward", { type: "filter", hook: "forward", priority: 0 }, [
    "service-endpoints-check",
    "cluster-ips-check",
  ]],
  ["filter-output", { type: "filter", hook: "output", priority: 0 }, [
    "service-endpoints-check",
    "cluster-ips-check",
  ]],
  ["nat-prerouting", { type: "nat", hook: "prerouting", priority: -100 }, ["services"]],
  ["nat-output", { type: "nat", hook: "output", priority: -100 }, ["services"]],
  ["nat-postrouting", { type: "nat", hook: "postrouting", priority: 100 }, ["masquerading"]],
];

const BASE_CHAINS: readonly Chain[] = HOOKS.map(([name, base, targets]) => ({
  name,
  base,
  rules: targets.map((chain) => jumpRule(chain, base.type)),
}));

/** Chains of type nat see the first packet of a connection only; those of type filter see all. */
function jumpRule(chain: string, type: BaseHook["type"]): Rule {
  const jump: Statement = { kind: "jump", chain };
  return { statements: type === "nat" ? [jump] : [{ kind: "ct-state", state: "new" }, jump] };
}

const REJECT: Chain = {
  name: REJECT_CHAIN,
  comment: "helper for @no-endpoint-services / @no-endpoint-nodeports",
  rules: [{ statements: [{ kind: "reject" }] }],
};

function vmapRule(key: readonly Selector[], map: string): Rule {
  return { statements: [{ kind: "vmap", key, map }] };
}

/** Connections that reach this chain were not sent on by any service. */
function clusterIpsCheck({ containers, serviceCidrs }: Context): Chain {
  const known: Rule = {
    statements: [
      { kind: "in-set", key: ["daddr"], set: containers.clusterIps.name },
      { kind: "reject" },
    ],
    comment: "Reject traffic to invalid ports of ClusterIPs",
  };
  const unallocated: Rule = {
    statements: [{ kind: "address", side: "daddr", of: serviceCidrs }, { kind: "drop" }],
    comment: "Drop traffic to unallocated ClusterIPs",
  };
  return {
    name: "cluster-ips-check",
    rules: serviceCidrs.length === 0 ? [known] : [known, unallocated],
  };
}

function masquerading({ containers, masqueradeMark: bits }: Context): Chain {
  return {
    name: "masquerading",
    rules: [
      {
        statements: [
          { kind: "mark-any", bits },
          { kind: "mark-set", op: "xor", bits },
          { kind: "masquerade" },
        ],
      },
      {
        statements: [
          { kind: "ct-status", status: "dnat" },
          {
            kind: "in-set",
            key: ["saddr", "daddr", "l4proto", "dport"],
            set: containers.hairpinConnections.name,
          },
          { kind: "masquerade" },
        ],
      },
    ],
  };
}

const LOOPBACK: Readonly<Record<Context["family"], Cidr>> = {
  ip: parseCidr("127.0.0.0/8"),
  ip6: parseCidr("::1/128"),
};

/** Addresses that node ports answer on. The input hook sees local destinations only. */
function nodePortMatches(
  { containers, family, node }: Context,
  hook: "input" | "any",
): readonly Statement[] {
  if (node.nodePortAddresses.kind === "some") {
    return [{ kind: "in-set", key: ["daddr"], set: containers.nodePortIps.name }];
  }
  const notLoopback: Statement = {
    kind: "address",
    side: "daddr",
    not: true,
    of: [LOOPBACK[family]],
  };
  if (hook === "input") return [notLoopback];
  return [{ kind: "fib-type", side: "daddr", type: "local" }, notLoopback];
}

function nodePortEndpointsCheck(context: Context): Chain {
  const map = context.containers.noEndpointNodePorts.name;
  return {
    name: "nodeport-endpoints-check",
    rules: [{ statements: [...nodePortMatches(context, "input"), nodePortLookUp(map)] }],
  };
}

function services(context: Context): Chain {
  const { containers } = context;
  return {
    name: "services",
    rules: [
      ...masqueradeRules(context),
      vmapRule(DESTINATION, containers.serviceIps.name),
      {
        statements: [
          ...nodePortMatches(context, "any"),
          nodePortLookUp(containers.serviceNodePorts.name),
        ],
      },
    ],
  };
}

function nodePortLookUp(map: string): Statement {
  return { kind: "vmap", key: ["l4proto", "dport"], map };
}

function masqueradeRules(context: Context): readonly Rule[] {
  const { containers, family, masqueradeAll, node } = context;
  const toCluster: Statement = { kind: "in-set", key: ["daddr"], set: containers.clusterIps.name };
  if (masqueradeAll) {
    return [markRule(context, {
      comment: "masquerade all clusterIP traffic",
      matches: [toCluster],
    })];
  }
  const foreign = localTraffic(node.localTraffic, { family, not: true });
  if (foreign === undefined) return [];
  const comment = "masquerade clusterIP traffic from outside cluster";
  return [markRule(context, { comment, matches: [toCluster, foreign] })];
}

function nodePortElements({ containers, node }: Context): readonly Placed[] {
  if (node.nodePortAddresses.kind !== "some") return [];
  // A packet to a loopback address cannot be sent on to another host.
  const addresses = node.nodePortAddresses.addresses.filter((ip) => !isLoopback(ip));
  return addresses.map((ip) => ({ set: containers.nodePortIps, element: { key: [ip] } }));
}
