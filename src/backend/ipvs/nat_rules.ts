/**
 * The nat table of ipvs mode: what is masqueraded, and what is left to node ports.
 * FACTS IPVS-12, IPVS-13.
 *
 * @module
 */

import { commentMatch } from "../../kernel/iptables/quote.ts";
import { formatRule } from "../../kernel/iptables/rule.ts";
import type { Chain, Rule } from "../../kernel/iptables/ruleset.ts";
import { formatCidr } from "../../model/ip.ts";
import { mark, type RuleFacts, type SetRule, setRules } from "./set_rules.ts";

/** The chains of the table. */
export function natChains(facts: RuleFacts): readonly Chain[] {
  return [
    { name: "KUBE-SERVICES", rules: serviceRules(facts) },
    { name: "KUBE-POSTROUTING", rules: postroutingRules(facts) },
    { name: "KUBE-NODE-PORT", rules: nodePortRules(facts) },
    { name: "KUBE-LOAD-BALANCER", rules: loadBalancerRules(facts) },
    { name: "KUBE-MARK-MASQ", rules: [`-j MARK --set-xmark ${mark(facts)}/${mark(facts)}`] },
  ];
}

const OFF_NODE = "-m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL";
const TO_NODE = "-m addrtype --dst-type LOCAL";

function serviceRules(facts: RuleFacts): readonly Rule[] {
  const loopback = facts.family === "IPv4" ? "127.0.0.0/8" : "::1/128";
  const lbPortal = { remark: "Kubernetes service lb portal", target: "KUBE-LOAD-BALANCER" };
  return [
    formatRule({ source: loopback, target: "RETURN" }),
    ...setRules(facts, { "KUBE-LOAD-BALANCER": [lbPortal] }),
    ...setRules(facts, { "KUBE-CLUSTER-IP": [clusterIpMasquerade(facts)] }),
    ...setRules(facts, { "KUBE-EXTERNAL-IP": externalIpRules() }),
    ...setRules(facts, { "KUBE-EXTERNAL-IP-LOCAL": externalIpLocalRules() }),
    formatRule({ matches: [TO_NODE], target: "KUBE-NODE-PORT" }),
    ...setRules(facts, { "KUBE-CLUSTER-IP": [{ target: "ACCEPT" }] }),
    ...setRules(facts, { "KUBE-LOAD-BALANCER": [{ target: "ACCEPT" }] }),
  ];
}

/** Without a way to tell local traffic, only packets that come from a VIP are masqueraded. */
function clusterIpMasquerade({ masqueradeAll, localTraffic }: RuleFacts): SetRule {
  const rule = {
    remark: "Kubernetes service cluster ip + port for masquerade purpose",
    target: "KUBE-MARK-MASQ",
  };
  if (masqueradeAll) return rule;
  switch (localTraffic.kind) {
    case "none":
      return { ...rule, directions: "src,dst" };
    case "source":
      return { ...rule, source: { not: formatCidr(localTraffic.cidr) } };
    case "bridge":
      return { ...rule, inInterface: { not: localTraffic.interfaceName } };
    case "prefix":
      return { ...rule, inInterface: { not: `${localTraffic.interfacePrefix}+` } };
  }
}

function externalIpRules(): readonly SetRule[] {
  const remark = "Kubernetes service external ip + port for masquerade and filter purpose";
  return [{ remark, target: "KUBE-MARK-MASQ" }, ...acceptRules(remark)];
}

function externalIpLocalRules(): readonly SetRule[] {
  return acceptRules("Kubernetes service external ip + port with externalTrafficPolicy=local");
}

/** What comes from outside, and what is for an address of this node, is not for a node port. */
function acceptRules(remark: string): readonly SetRule[] {
  return [OFF_NODE, TO_NODE].map((match) => ({ remark, match, target: "ACCEPT" }));
}

function postroutingRules(facts: RuleFacts): readonly Rule[] {
  const hairpin = {
    remark: "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose",
    directions: "dst,dst,src",
    target: "MASQUERADE",
  };
  return [
    ...setRules(facts, { "KUBE-LOOP-BACK": [hairpin] }),
    `-m mark ! --mark ${mark(facts)}/${mark(facts)} -j RETURN`,
    `-j MARK --set-xmark ${mark(facts)}/0x0`,
    formatRule({
      matches: [commentMatch("kubernetes service traffic requiring SNAT")],
      target: facts.randomFully ? "MASQUERADE --random-fully" : "MASQUERADE",
    }),
  ];
}

const LOCAL_POLICY = "with externalTrafficPolicy=local";
const HASH_TYPE = " with type 'hash ip:port'";

/** Per protocol: the sets for policy Local and for all, what they match, the end of the remark. */
const NODE_PORTS = [
  ["TCP", "KUBE-NODE-PORT-LOCAL-TCP", "KUBE-NODE-PORT-TCP", "dst", ""],
  ["UDP", "KUBE-NODE-PORT-LOCAL-UDP", "KUBE-NODE-PORT-UDP", "dst", ""],
  [
    "SCTP",
    "KUBE-NODE-PORT-LOCAL-SCTP-HASH",
    "KUBE-NODE-PORT-SCTP-HASH",
    "dst,dst",
    HASH_TYPE,
  ],
] as const;

function nodePortRules(facts: RuleFacts): readonly Rule[] {
  return NODE_PORTS.flatMap(([name, local, all, directions, suffix]) => {
    const protocol = name.toLowerCase();
    const start = `Kubernetes nodeport ${name} port`;
    return [
      ...setRules(facts, {
        [local]: [
          { protocol, directions, remark: `${start} ${LOCAL_POLICY}${suffix}`, target: "RETURN" },
        ],
      }),
      ...setRules(facts, {
        [all]: [
          {
            protocol,
            directions,
            remark: `${start} for masquerade purpose${suffix}`,
            target: "KUBE-MARK-MASQ",
          },
        ],
      }),
    ];
  });
}

function loadBalancerRules(facts: RuleFacts): readonly Rule[] {
  const remark = `Kubernetes service load balancer ip + port ${LOCAL_POLICY}`;
  return [
    ...setRules(facts, { "KUBE-LOAD-BALANCER-LOCAL": [{ remark, target: "RETURN" }] }),
    "-j KUBE-MARK-MASQ",
  ];
}
