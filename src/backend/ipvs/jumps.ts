/**
 * Jumps from built-in chains to those of ipvs mode. FACTS IPVS-11.
 *
 * @module
 */

import { commentMatch } from "../../kernel/iptables/quote.ts";
import { formatRule } from "../../kernel/iptables/rule.ts";
import type { Rule, TableName } from "../../kernel/iptables/ruleset.ts";

/** A jump from a built-in chain. */
export interface Jump {
  readonly table: TableName;
  readonly from: string;
  readonly to: string;
  readonly rule: Rule;
}

/** Jumps in the order in which kube-proxy prepends those that are missing. */
export const JUMPS: readonly Jump[] = [
  jump("nat", { from: "OUTPUT", to: "KUBE-SERVICES", remark: "kubernetes service portals" }),
  jump("nat", { from: "PREROUTING", to: "KUBE-SERVICES", remark: "kubernetes service portals" }),
  jump("nat", {
    from: "POSTROUTING",
    to: "KUBE-POSTROUTING",
    remark: "kubernetes postrouting rules",
  }),
  jump("filter", { from: "FORWARD", to: "KUBE-FORWARD", remark: "kubernetes forwarding rules" }),
  jump("filter", { from: "INPUT", to: "KUBE-NODE-PORT", remark: "kubernetes health check rules" }),
  jump("filter", { from: "INPUT", to: "KUBE-PROXY-FIREWALL", remark: "kube-proxy firewall rules" }),
  jump("filter", {
    from: "FORWARD",
    to: "KUBE-PROXY-FIREWALL",
    remark: "kube-proxy firewall rules",
  }),
  jump("filter", {
    from: "INPUT",
    to: "KUBE-IPVS-FILTER",
    remark: "kubernetes ipvs access filter",
  }),
  jump("filter", {
    from: "OUTPUT",
    to: "KUBE-IPVS-OUT-FILTER",
    remark: "kubernetes ipvs access filter",
  }),
];

function jump(
  table: TableName,
  { from, to, remark }: { from: string; to: string; remark: string },
): Jump {
  return { table, from, to, rule: formatRule({ matches: [commentMatch(remark)], target: to }) };
}
