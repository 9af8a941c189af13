/**
 * Chains and jumps x what the tables hold -> edits. nat comes before filter, as kube-proxy writes
 * them in this mode (IPVS-15).
 *
 * @module
 */

import {
  type Chain,
  type Edit,
  type Rule,
  rulesOf,
  type TableEdits,
  type Tables,
} from "../../kernel/iptables/ruleset.ts";
import { JUMPS } from "./jumps.ts";
import type { RuleWish } from "./wish.ts";

const TABLES = ["nat", "filter"] as const;

/** From one wish to the next. */
export function diffRules(before: RuleWish, after: RuleWish): readonly TableEdits[] {
  if (before === after) return [];
  return TABLES.map((table) => {
    const old = new Map(before[table].map(({ name, rules }) => [name, rules]));
    return { table, edits: diffChains(after[table], (name) => old.get(name)) };
  }).filter(({ edits }) => edits.length > 0);
}

/** From what iptables-save says. A jump that is missing goes to the top of its chain (IPVS-11). */
export function diffObservedRules(observed: Tables, wish: RuleWish): readonly TableEdits[] {
  return TABLES.map((table): TableEdits => {
    const jumps = JUMPS.filter((jump) => jump.table === table)
      .filter(({ from, rule }) => !rulesOf(observed, { table, chain: from }).includes(rule))
      .map(({ from, rule }): Edit => ({ kind: "prepend", chain: from, rule }));
    const chains = diffChains(wish[table], (name) => observed.get(table)?.get(name));
    return { table, edits: [...chains, ...jumps] };
  }).filter(({ edits }) => edits.length > 0);
}

function diffChains(
  chains: readonly Chain[],
  rulesOfChain: (name: string) => readonly Rule[] | undefined,
): readonly Edit[] {
  return chains
    .filter(({ name, rules }) => !isSame(rulesOfChain(name), rules))
    .map(({ name, rules }) => ({ kind: "replace", chain: name, rules }));
}

function isSame(a: readonly Rule[] | undefined, b: readonly Rule[]): boolean {
  return a !== undefined && a.length === b.length && a.every((rule, i) => rule === b[i]);
}

/**
 * The rules that can be written while some sets are not ours: the tool refuses rules with a set of
 * another family, and all others with them. Where a VIP's exception is missing nothing is refused.
 */
export function withoutSets(wish: RuleWish, sets: ReadonlySet<string>): RuleWish {
  if (sets.size === 0) return wish;
  const isBad = (rule: Rule): boolean =>
    sets.has(/ --match-set (\S+) /.exec(` ${rule}`)?.[1] ?? "");
  const strip = ({ name, rules }: Chain): Chain => {
    const left = rules.filter((rule) => !isBad(rule));
    const isOpen = name === "KUBE-IPVS-FILTER" && left.length < rules.length;
    return { name, rules: isOpen ? left.filter((rule) => !rule.includes("-j REJECT")) : left };
  };
  return { nat: wish.nat.map(strip), filter: wish.filter.map(strip) };
}
