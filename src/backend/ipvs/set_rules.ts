/**
 * Rules that match a set, and what all rules of ipvs mode depend on.
 *
 * @module
 */

import { commentMatch } from "../../kernel/iptables/quote.ts";
import { formatRule, type Operand } from "../../kernel/iptables/rule.ts";
import type { Rule } from "../../kernel/iptables/ruleset.ts";
import type { IpFamily } from "../../model/ip.ts";
import type { LocalTraffic } from "../../model/plan.ts";
import { kernelSetName, type SetName } from "./sets.ts";

/** What the rules depend on. */
export interface RuleFacts {
  readonly family: IpFamily;
  readonly masqueradeBit: number;
  readonly masqueradeAll: boolean;
  /** MASQUERADE --random-fully is known to the tool. */
  readonly randomFully: boolean;
  readonly localTraffic: LocalTraffic;
  readonly isUsed: (set: SetName) => boolean;
  /** Of KUBE-IPVS-OUT-FILTER, all Services together. */
  readonly outFilterRules: readonly Rule[];
}

/** A rule that matches a set. */
export interface SetRule {
  readonly source?: Operand;
  readonly inInterface?: Operand;
  readonly protocol?: string;
  readonly remark?: string;
  /** Default `dst,dst`. */
  readonly directions?: string;
  /** Behind the set. */
  readonly match?: string;
  readonly target: string;
}

/** The rules of each set, in this order, without those of empty sets. */
export function setRules(
  facts: RuleFacts,
  rulesBySet: Readonly<Partial<Record<SetName, readonly SetRule[]>>>,
): readonly Rule[] {
  return Object.entries(rulesBySet).flatMap(([name, rules]) => {
    const set = name as SetName;
    if (!facts.isUsed(set)) return [];
    return rules.map((rule) => setRule({ family: facts.family, set }, rule));
  });
}

/** One rule that matches a set, whether it is empty or not. */
export function setRule(
  place: { readonly family: IpFamily; readonly set: SetName },
  { remark, directions = "dst,dst", match, ...parts }: SetRule,
): Rule {
  const matches = [
    ...remark === undefined ? [] : [commentMatch(remark)],
    setMatch(place, directions),
    ...match === undefined ? [] : [match],
  ];
  return formatRule({ ...parts, matches });
}

/** The match alone. */
export function setMatch(
  { family, set }: { readonly family: IpFamily; readonly set: SetName },
  directions: string,
): string {
  return `-m set --match-set ${kernelSetName(set, family)} ${directions}`;
}

/** The masquerade mark as iptables-save prints it: `0x4000` for bit 14. */
export function mark({ masqueradeBit }: RuleFacts): string {
  return `0x${(2 ** masqueradeBit).toString(16)}`;
}
