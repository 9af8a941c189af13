/**
 * Ruleset x Ruleset -> Changes. Only Services whose entries are different objects are looked at,
 * and of those only the chains that really differ are written.
 *
 * @module
 */

import type { Chain, Edit } from "../../kernel/iptables/ruleset.ts";
import { type Changes, orderRemovals, type RuleCounts } from "./changes.ts";
import { emptyPatches, patchEdits, patchService } from "./portal_edits.ts";
import { type Portal, renderPortals } from "./portals.ts";
import type { Ruleset, RuleTable, ServiceRules } from "./ruleset.ts";
import { renderServiceChains } from "./service_chains.ts";
import { ruleCount, sameRules, staticRuleCount, type Statics } from "./statics.ts";

/** What the kernel is known to hold. */
export interface Applied {
  readonly ruleset: Ruleset;
  readonly owned: RuleCounts;
}

/** The changes that lead from what was written to what is wanted. */
export function diffRulesets(applied: Applied, wish: Ruleset): Changes {
  const was = applied.ruleset;
  const draft = { chains: [] as Edit[], removals: [] as Edit[], patches: emptyPatches() };
  const owned: Record<RuleTable, number> = { ...applied.owned };
  for (const table of ["filter", "nat"] as const) {
    owned[table] += staticRuleCount(wish.statics, table) - staticRuleCount(was.statics, table);
  }
  for (const [owner, before, after] of changedServices(was, wish)) {
    const old = renderService(before);
    const now = renderService(after);
    diffChains({ old: old.chains, now: now.chains, owner }, draft);
    owned.nat += ruleCount(now.chains) - ruleCount(old.chains);
    patchService(draft.patches, { owner, old: old.portals, now: now.portals });
    for (const { table } of old.portals) owned[table]--;
    for (const { table } of now.portals) owned[table]++;
  }
  const patch = { patches: draft.patches, was: was.statics, wish };
  const statics = (table: RuleTable) => diffStatics(table, { was: was.statics, now: wish.statics });
  return {
    chains: [...statics("nat"), ...draft.chains],
    shared: {
      filter: [...statics("filter"), ...patchEdits("filter", patch)],
      nat: patchEdits("nat", patch),
      mangle: [],
    },
    removals: orderRemovals(draft.removals),
    owned,
  };
}

type ChangedService = [
  key: string,
  before: ServiceRules | undefined,
  after: ServiceRules | undefined,
];

function* changedServices(was: Ruleset, wish: Ruleset): Generator<ChangedService> {
  if (was.services === wish.services) return;
  let kept = 0;
  for (const [key, after] of wish.services) {
    const before = was.services.get(key);
    if (before !== undefined) kept++;
    if (before !== after) yield [key, before, after];
  }
  if (kept === was.services.size) return;
  for (const [key, before] of was.services) {
    if (!wish.services.has(key)) yield [key, before, undefined];
  }
}

interface RenderedService {
  readonly chains: readonly Chain[];
  readonly portals: readonly Portal[];
}

function renderService(service: ServiceRules | undefined): RenderedService {
  if (service === undefined) return { chains: [], portals: [] };
  return { chains: renderServiceChains(service), portals: renderPortals(service) };
}

function diffChains(
  { old, now, owner }: { old: readonly Chain[]; now: readonly Chain[]; owner: string },
  { chains, removals }: { chains: Edit[]; removals: Edit[] },
): void {
  const rulesByName = new Map(old.map(({ name, rules }) => [name, rules]));
  for (const { name, rules } of now) {
    if (!sameRules(rulesByName.get(name), rules)) {
      chains.push({ kind: "replace", chain: name, rules, owner });
    }
    rulesByName.delete(name);
  }
  for (const chain of rulesByName.keys()) removals.push({ kind: "remove", chain, owner });
}

function diffStatics(
  table: RuleTable,
  { was, now }: { was: Statics; now: Statics },
): readonly Edit[] {
  if (was === now) return [];
  const rulesByName = new Map(was.chains[table].map(({ name, rules }) => [name, rules]));
  return now.chains[table]
    .filter(({ name, rules }) => !sameRules(rulesByName.get(name), rules))
    .map(({ name, rules }): Edit => ({ kind: "replace", chain: name, rules }));
}
