/**
 * Kernel x Ruleset -> Changes: what iptables-save printed is compared with what is wanted, chain by
 * chain, so that a restart on a node where all is well writes nothing. Answers to the full sync of
 * kube-proxy, FACTS IPT-04, IPT-25, IPT-27, IPT-29.
 *
 * @module
 */

import { type Edit, type Rule, rulesOf, type Tables } from "../../kernel/iptables/ruleset.ts";
import { type Changes, orderRemovals } from "./changes.ts";
import { isServiceChain } from "./names.ts";
import {
  addEdits,
  MAX_DELETIONS,
  type OwnedRule,
  type PortalChain,
  rewriteChain,
  tailOf,
  takeOne,
} from "./portal_edits.ts";
import { PORTAL_CHAINS, renderPortals } from "./portals.ts";
import type { Ruleset, RuleTable } from "./ruleset.ts";
import { renderServiceChains } from "./service_chains.ts";
import { JUMPS, sameRules, staticRuleCount } from "./statics.ts";

/** The changes that lead from what the kernel holds to what is wanted, and what was left alone. */
export interface ObservedChanges extends Changes {
  /** Stale chains of ours that rules of others jump to: they cannot be removed. */
  readonly referenced: readonly string[];
}

/**
 * Compares. Only whole chains are written with `rewrite`; otherwise a shared chain that differs in
 * few rules is patched, which needs the tool to find the rules that we read.
 */
export function diffObserved(
  observed: Tables,
  wish: Ruleset,
  { rewrite = false }: { rewrite?: boolean } = {},
): ObservedChanges {
  const services = compareServices(observed, wish);
  const stale = staleChains(observed, services.wanted);
  const shared = (table: RuleTable) => [
    ...presenceEdits(table, { observed, wish }),
    ...PORTAL_CHAINS[table].flatMap((chain) => {
      const rules = services.portals.get(`${table} ${chain}`) ?? [];
      return portalEdits({ table, chain }, { observed, wish, rules, rewrite });
    }),
    ...jumpEdits(table, observed),
  ];
  const statics = (table: RuleTable) => staticEdits(table, { observed, wish });
  return {
    chains: [...statics("nat"), ...services.edits],
    shared: {
      filter: [...statics("filter"), ...shared("filter")],
      nat: shared("nat"),
      mangle: presenceEdits("mangle", { observed, wish }),
    },
    removals: orderRemovals(stale.removals),
    owned: services.owned,
    referenced: stale.referenced,
  };
}

interface Comparison {
  /** Chains that have to be written. */
  readonly edits: readonly Edit[];
  /** Names of all chains that shall be there. */
  readonly wanted: ReadonlySet<string>;
  /** Rules for shared chains, by `table chain`. */
  readonly portals: ReadonlyMap<string, readonly OwnedRule[]>;
  readonly owned: Record<RuleTable, number>;
}

function compareServices(observed: Tables, wish: Ruleset): Comparison {
  const edits: Edit[] = [];
  const wanted = new Set<string>();
  const portals = new Map<string, OwnedRule[]>();
  const owned = {
    filter: staticRuleCount(wish.statics, "filter"),
    nat: staticRuleCount(wish.statics, "nat"),
  };
  const chains = observed.get("nat");
  for (const [owner, service] of wish.services) {
    for (const { name, rules } of renderServiceChains(service)) {
      wanted.add(name);
      owned.nat += rules.length;
      if (!sameRules(chains?.get(name), rules)) {
        edits.push({ kind: "replace", chain: name, rules, owner });
      }
    }
    for (const { table, chain, rule } of renderPortals(service)) {
      owned[table]++;
      const key = `${table} ${chain}`;
      const rules = portals.get(key);
      if (rules === undefined) portals.set(key, [{ rule, owner }]);
      else rules.push({ rule, owner });
    }
  }
  return { edits, wanted, portals, owned };
}

function staticEdits(
  table: RuleTable,
  { observed, wish }: { observed: Tables; wish: Ruleset },
): readonly Edit[] {
  return wish.statics.chains[table]
    .filter(({ name, rules }) => !sameRules(observed.get(table)?.get(name), rules))
    .map(({ name, rules }): Edit => ({ kind: "replace", chain: name, rules }));
}

function presenceEdits(
  table: RuleTable | "mangle",
  { observed, wish }: { observed: Tables; wish: Ruleset },
): readonly Edit[] {
  return wish.statics.present
    .filter((wanted) => wanted.table === table && !observed.get(table)?.has(wanted.chain))
    .map(({ chain }): Edit => ({ kind: "replace", chain, rules: [] }));
}

/** Jumps that are there stay where they are; missing ones go to the top, one after the other. */
function jumpEdits(table: RuleTable, observed: Tables): readonly Edit[] {
  return JUMPS
    .filter((jump) => jump.table === table)
    .filter(({ from, rule }) => !rulesOf(observed, { table, chain: from }).includes(rule))
    .map(({ from, rule }): Edit => ({ kind: "prepend", chain: from, rule }));
}

function portalEdits(
  at: PortalChain,
  { observed, wish, rules, rewrite }: {
    observed: Tables;
    wish: Ruleset;
    rules: readonly OwnedRule[];
    rewrite: boolean;
  },
): readonly Edit[] {
  const found = observed.get(at.table)?.get(at.chain);
  if (found === undefined) return rewriteChain(at, wish);
  const tail = tailOf(wish.statics, at);
  const body = bodyBefore(found, tail);
  if (body === undefined || !keepsOrder(body, rules)) return rewriteChain(at, wish);
  const { extra, missing } = compareRules(body, rules);
  if (extra.length === 0 && missing.length === 0) return [];
  if (rewrite || extra.length > MAX_DELETIONS) return rewriteChain(at, wish);
  return [
    ...extra.map((rule): Edit => ({ kind: "delete", chain: at.chain, rule })),
    ...addEdits(at, missing),
  ];
}

/** What stands before the tail; undefined when the tail is not where it belongs. */
function bodyBefore(found: readonly Rule[], tail: readonly Rule[]): readonly Rule[] | undefined {
  const start = found.length - tail.length;
  if (start < 0 || !sameRules(found.slice(start), tail)) return undefined;
  const body = found.slice(0, start);
  return tail.some((rule) => body.includes(rule)) ? undefined : body;
}

/** Services stand in any order, but the rules of one Service in theirs. */
function keepsOrder(body: readonly Rule[], rules: readonly OwnedRule[]): boolean {
  if (body.length === rules.length && rules.every(({ rule }, i) => rule === body[i])) return true;
  const positions = new Map(body.map((rule, i) => [rule, i]));
  let owner: string | undefined;
  let last = -1;
  for (const wanted of rules) {
    if (wanted.owner !== owner) last = -1;
    owner = wanted.owner;
    const position = positions.get(wanted.rule) ?? last;
    if (position < last) return false;
    last = position;
  }
  return true;
}

function compareRules(
  body: readonly Rule[],
  rules: readonly OwnedRule[],
): { extra: readonly Rule[]; missing: readonly OwnedRule[] } {
  const left = new Map<Rule, number>();
  for (const rule of body) left.set(rule, (left.get(rule) ?? 0) + 1);
  const missing = rules.filter(({ rule }) => !takeOne(left, rule));
  const extra = [...left].flatMap(([rule, count]) => Array<Rule>(count).fill(rule));
  return { extra, missing };
}

/** Service chains that nobody wants, whoever made them (FACTS IPT-25). */
function staleChains(
  observed: Tables,
  wanted: ReadonlySet<string>,
): { removals: readonly Edit[]; referenced: readonly string[] } {
  const chains = observed.get("nat") ?? new Map<string, readonly Rule[]>();
  const stale = [...chains.keys()].filter((name) => isServiceChain(name) && !wanted.has(name));
  if (stale.length === 0) return { removals: [], referenced: [] };
  const inUse = chainsInUse(chains);
  const referenced = stale.filter((name) => inUse.has(name));
  return {
    removals: [
      // Emptied, so that at least the chains behind it can go.
      ...referenced.filter((name) => chains.get(name)?.length !== 0)
        .map((chain): Edit => ({ kind: "replace", chain, rules: [] })),
      ...stale.filter((name) => !inUse.has(name))
        .map((chain): Edit => ({ kind: "remove", chain })),
    ],
    referenced,
  };
}

/** Service chains that rules of others lead to. */
function chainsInUse(chains: ReadonlyMap<string, readonly Rule[]>): ReadonlySet<string> {
  const inUse = new Set<string>();
  for (const [name, rules] of chains) {
    if (isServiceChain(name) || PORTAL_CHAINS.nat.includes(name)) continue;
    for (const rule of rules) {
      const chain = /(?:^| )-[jg] (KUBE-\S+)/.exec(rule)?.[1];
      if (chain !== undefined) inUse.add(chain);
    }
  }
  return inUse;
}
