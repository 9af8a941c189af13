/**
 * The filter table of ipvs mode: source ranges, health checks, and the ports of this node that
 * must not answer on VIPs. FACTS IPVS-14.
 *
 * @module
 */

import { commentMatch } from "../../kernel/iptables/quote.ts";
import { formatRule } from "../../kernel/iptables/rule.ts";
import type { Chain, Rule } from "../../kernel/iptables/ruleset.ts";
import { mark, type RuleFacts, setMatch, type SetRule, setRule, setRules } from "./set_rules.ts";

/** The chains of the table. */
export function filterChains(facts: RuleFacts): readonly Chain[] {
  return [
    { name: "KUBE-FORWARD", rules: forwardRules(facts) },
    { name: "KUBE-NODE-PORT", rules: healthCheckRules(facts) },
    { name: "KUBE-PROXY-FIREWALL", rules: firewallRules(facts) },
    { name: "KUBE-SOURCE-RANGES-FIREWALL", rules: sourceRangeRules(facts) },
    { name: "KUBE-IPVS-FILTER", rules: accessRules(facts) },
    { name: "KUBE-IPVS-OUT-FILTER", rules: facts.outFilterRules },
  ];
}

function forwardRules(facts: RuleFacts): readonly Rule[] {
  const marked = [
    commentMatch("kubernetes forwarding rules"),
    `-m mark --mark ${mark(facts)}/${mark(facts)}`,
  ];
  const established = [
    commentMatch("kubernetes forwarding conntrack rule"),
    "-m conntrack --ctstate RELATED,ESTABLISHED",
  ];
  return [
    formatRule({ matches: marked, target: "ACCEPT" }),
    formatRule({ matches: established, target: "ACCEPT" }),
  ];
}

function healthCheckRules({ family }: RuleFacts): readonly Rule[] {
  const remark = "Kubernetes health check node port";
  const rule = { remark, directions: "dst", target: "ACCEPT" };
  return [setRule({ family, set: "KUBE-HEALTH-CHECK-NODE-PORT" }, rule)];
}

function firewallRules(facts: RuleFacts): readonly Rule[] {
  const remark = "Kubernetes service load balancer ip + port for load balancer with sourceRange";
  const target = "KUBE-SOURCE-RANGES-FIREWALL";
  return setRules(facts, { "KUBE-LOAD-BALANCER-FW": [{ remark, target }] });
}

function sourceRangeRules(facts: RuleFacts): readonly Rule[] {
  const returnRule = (source: string): SetRule => ({
    remark:
      `Kubernetes service load balancer ip + port + source ${source} for packet filter purpose`,
    directions: "dst,dst,src",
    target: "RETURN",
  });
  return [
    ...setRules(facts, { "KUBE-LOAD-BALANCER-SOURCE-CIDR": [returnRule("cidr")] }),
    ...setRules(facts, { "KUBE-LOAD-BALANCER-SOURCE-IP": [returnRule("IP")] }),
    "-j DROP",
  ];
}

/** VIPs are addresses of this node now: keep its own ports from answering on them. */
function accessRules({ family }: RuleFacts): readonly Rule[] {
  const portals = [
    ["KUBE-LOAD-BALANCER", "dst,dst"],
    ["KUBE-CLUSTER-IP", "dst,dst"],
    ["KUBE-EXTERNAL-IP", "dst,dst"],
    ["KUBE-EXTERNAL-IP-LOCAL", "dst,dst"],
    ["KUBE-HEALTH-CHECK-NODE-PORT", "dst"],
  ] as const;
  const reject = family === "IPv4" ? "icmp-port-unreachable" : "icmp6-port-unreachable";
  return [
    ...portals.map(([set, directions]) =>
      setRule({ family, set }, { directions, target: "RETURN" })
    ),
    formatRule({
      matches: ["-m conntrack --ctstate NEW", setMatch({ family, set: "KUBE-IPVS-IPS" }, "dst")],
      target: `REJECT --reject-with ${reject}`,
    }),
  ];
}
