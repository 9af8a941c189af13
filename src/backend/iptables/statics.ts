/**
 * The rules that no Service owns: chains of the node, jumps from built-in chains, canaries.
 * FACTS IPT-03, IPT-04, IPT-06, IPT-07, IPT-12, IPT-21, IPT-23.
 *
 * @module
 */

import { commentMatch } from "../../kernel/iptables/quote.ts";
import { formatRule, type Operand } from "../../kernel/iptables/rule.ts";
import type { Chain, Rule, TableName } from "../../kernel/iptables/ruleset.ts";
import { bitsOf, isLoopback } from "../../model/ip.ts";
import type { NodeFacts } from "../../model/plan.ts";
import type { BackendFacts } from "./style.ts";

/** Marks packets that have to be masqueraded on their way out. */
export const MARK_MASQ_CHAIN = "KUBE-MARK-MASQ";

/** Empty chains that are only there to notice that somebody flushed a table (IPT-28). */
export const CANARY_CHAIN = "KUBE-PROXY-CANARY";

/** Shared with the kubelet, which makes the same rule. */
export const FIREWALL_CHAIN = "KUBE-FIREWALL";

/** The counter of dropped INVALID packets. */
export const INVALID_COUNTER = "ct_state_invalid_dropped_pkts";

/** A rule in a built-in chain that leads to a chain of ours. */
export interface Jump {
  readonly table: TableName;
  readonly from: string;
  readonly to: string;
  readonly rule: Rule;
}

/** Everything that is the same whatever Services there are. */
export interface Statics {
  /** Chains with fixed rules, by table. */
  readonly chains: Readonly<Record<"filter" | "nat", readonly Chain[]>>;
  /** Chains that must exist; what is in them is not our business. */
  readonly present: readonly { readonly table: TableName; readonly chain: string }[];
  /** The last rules of KUBE-SERVICES in nat: whatever is left may be for a node port. */
  readonly tail: readonly Rule[];
}

/** The statics for this node; `previous` when it says the same. */
export function renderStatics(
  facts: BackendFacts,
  { node, previous }: { node: NodeFacts; previous: Statics | undefined },
): Statics {
  const firewall: Chain = { name: FIREWALL_CHAIN, rules: [martianRule()] };
  const mark = facts.config.masqueradeBit;
  const statics: Statics = {
    chains: {
      filter: [forwardChain(facts), ...facts.localhostNodePorts ? [firewall] : []],
      nat: [markMasqueradeChain(mark), postroutingChain(facts)],
    },
    present: [
      { table: "mangle", chain: CANARY_CHAIN },
      { table: "nat", chain: CANARY_CHAIN },
      { table: "filter", chain: CANARY_CHAIN },
      ...facts.localhostNodePorts ? [] : [{ table: "filter", chain: FIREWALL_CHAIN } as const],
    ],
    tail: nodePortRules(facts, node),
  };
  const isSame = previous !== undefined && JSON.stringify(previous) === JSON.stringify(statics);
  return isSame ? previous : statics;
}

/**
 * All jumps, in the order in which kube-proxy prepends those that are missing. Jumps to
 * KUBE-FIREWALL are the kubelet's too and outlive us.
 */
export const JUMPS: readonly Jump[] = [
  ...jumpsTo("KUBE-EXTERNAL-SERVICES", {
    from: ["INPUT", "FORWARD"],
    isForNew: true,
    remark: "kubernetes externally-visible service portals",
  }),
  ...jumpsTo("KUBE-NODEPORTS", {
    from: ["INPUT"],
    remark: "kubernetes health check service ports",
  }),
  ...jumpsTo("KUBE-SERVICES", {
    from: ["FORWARD", "OUTPUT"],
    isForNew: true,
    remark: "kubernetes service portals",
  }),
  ...jumpsTo("KUBE-FORWARD", { from: ["FORWARD"], remark: "kubernetes forwarding rules" }),
  ...jumpsTo("KUBE-PROXY-FIREWALL", {
    from: ["INPUT", "OUTPUT", "FORWARD"],
    isForNew: true,
    remark: "kubernetes load balancer firewall",
  }),
  ...jumpsTo("KUBE-SERVICES", {
    table: "nat",
    from: ["OUTPUT", "PREROUTING"],
    remark: "kubernetes service portals",
  }),
  ...jumpsTo("KUBE-POSTROUTING", {
    table: "nat",
    from: ["POSTROUTING"],
    remark: "kubernetes postrouting rules",
  }),
  ...jumpsTo(FIREWALL_CHAIN, { from: ["INPUT", "OUTPUT"] }),
];

function jumpsTo(
  to: string,
  { table = "filter", from, isForNew = false, remark }: {
    table?: TableName;
    from: readonly string[];
    isForNew?: boolean;
    remark?: string;
  },
): readonly Jump[] {
  const matches = [
    ...isForNew ? ["-m conntrack --ctstate NEW"] : [],
    ...remark === undefined ? [] : [commentMatch(remark)],
  ];
  const rule = formatRule({ matches, target: to });
  return from.map((chain) => ({ table, from: chain, to, rule }));
}

/** `0x4000` for bit 14. */
function markText(bit: number): string {
  return `0x${(2 ** bit).toString(16)}`;
}

function markMasqueradeChain(bit: number): Chain {
  const mark = markText(bit);
  return { name: MARK_MASQ_CHAIN, rules: [`-j MARK --set-xmark ${mark}/${mark}`] };
}

function postroutingChain({ config, capabilities }: BackendFacts): Chain {
  const mark = markText(config.masqueradeBit);
  return {
    name: "KUBE-POSTROUTING",
    rules: [
      `-m mark ! --mark ${mark}/${mark} -j RETURN`,
      // The mark goes away: a packet that is encapsulated and comes by again must not be marked.
      `-j MARK --set-xmark ${mark}/0x0`,
      formatRule({
        matches: [commentMatch("kubernetes service traffic requiring SNAT")],
        target: capabilities.randomFully ? "MASQUERADE --random-fully" : "MASQUERADE",
      }),
    ],
  };
}

function forwardChain({ config, capabilities }: BackendFacts): Chain {
  const mark = markText(config.masqueradeBit);
  const count = capabilities.invalidCounter ? [`-m nfacct --nfacct-name ${INVALID_COUNTER}`] : [];
  // A packet that conntrack cannot place would be sent on without translation and reset the flow.
  const dropInvalid = formatRule({
    matches: ["-m conntrack --ctstate INVALID", ...count],
    target: "DROP",
  });
  const marked = [commentMatch("kubernetes forwarding rules"), `-m mark --mark ${mark}/${mark}`];
  const established = [
    commentMatch("kubernetes forwarding conntrack rule"),
    "-m conntrack --ctstate RELATED,ESTABLISHED",
  ];
  return {
    name: "KUBE-FORWARD",
    rules: [
      ...capabilities.dropsInvalid ? [dropInvalid] : [],
      formatRule({ matches: marked, target: "ACCEPT" }),
      formatRule({ matches: established, target: "ACCEPT" }),
    ],
  };
}

/** route_localnet opens 127/8 to the neighbours (kubernetes issue 90259); this closes it. */
function martianRule(): Rule {
  return formatRule({
    source: { not: "127.0.0.0/8" },
    destination: "127.0.0.0/8",
    matches: [
      commentMatch("block incoming localnet connections"),
      "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT",
    ],
    target: "DROP",
  });
}

function nodePortRules(facts: BackendFacts, node: NodeFacts): readonly Rule[] {
  const remark = commentMatch(
    "kubernetes service nodeports; NOTE: this must be the last rule in this chain",
  );
  const target = "KUBE-NODEPORTS";
  const { nodePortAddresses } = node;
  if (nodePortAddresses.kind === "all") {
    const matches = [remark, "-m addrtype --dst-type LOCAL"];
    return [formatRule({ ...loopbackExclusion(facts), matches, target })];
  }
  const bits = bitsOf(facts.family);
  return nodePortAddresses.addresses
    .filter((ip) => !isLoopback(ip) || facts.localhostNodePorts)
    .map((ip) => formatRule({ destination: `${ip}/${bits}`, matches: [remark], target }));
}

/** Node ports on loopback addresses work for IPv4 only, and only with route_localnet. */
function loopbackExclusion(facts: BackendFacts): { readonly destination?: Operand } {
  if (facts.family === "IPv6") return { destination: { not: "::1/128" } };
  return facts.localhostNodePorts ? {} : { destination: { not: "127.0.0.0/8" } };
}

/** How many rules of a table belong to no Service. */
export function staticRuleCount(statics: Statics, table: "filter" | "nat"): number {
  return ruleCount(statics.chains[table]) + (table === "nat" ? statics.tail.length : 0);
}

/** How many rules the chains hold. */
export function ruleCount(chains: readonly Chain[]): number {
  return chains.reduce((sum, chain) => sum + chain.rules.length, 0);
}

/** Whether both are the same rules in the same order. */
export function sameRules(a: readonly Rule[] | undefined, b: readonly Rule[]): boolean {
  return a?.length === b.length && b.every((rule, i) => rule === a[i]);
}
