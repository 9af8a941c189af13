/**
 * Edits of the chains that all Services share. Single rules come and go, so that a change costs
 * the same however long the chain is.
 *
 * @module
 */

import type { Edit, Rule } from "../../kernel/iptables/ruleset.ts";
import { type Portal, PORTAL_CHAINS, renderPortals } from "./portals.ts";
import type { Ruleset, RuleTable } from "./ruleset.ts";
import { sameRules, type Statics } from "./statics.ts";

/**
 * iptables-nft compares a rule to delete with every rule of its chain: 6 ms each in a chain of
 * 10,000, while writing these 10,000 anew takes 240 ms (measured, 1.8.9).
 */
export const MAX_DELETIONS = 32;

/** A chain that all Services share. */
export interface PortalChain {
  readonly table: RuleTable;
  readonly chain: string;
}

/** A rule of a shared chain and the Service it is for. */
export interface OwnedRule {
  readonly rule: Rule;
  readonly owner: string;
}

/** What changes in one shared chain. */
export interface PortalPatch {
  readonly deleted: OwnedRule[];
  readonly added: OwnedRule[];
}

/** By `table chain`. */
export type PortalPatches = ReadonlyMap<string, PortalPatch>;

/** Patches that change nothing yet. */
export function emptyPatches(): PortalPatches {
  const keys = PORTALS.map(({ table, chain }) => `${table} ${chain}`);
  return new Map(keys.map((key) => [key, { deleted: [], added: [] }]));
}

/**
 * Adds to the patches what changes for one Service. Rules stay where they are as long as those of
 * the Service keep their order: of two rules for one address the first one counts.
 */
export function patchService(
  patches: PortalPatches,
  { owner, old, now }: { owner: string; old: readonly Portal[]; now: readonly Portal[] },
): void {
  for (const at of PORTALS) {
    const patch = patches.get(`${at.table} ${at.chain}`);
    const { deleted, added } = blockPatch(at, { old: rulesIn(at, old), now: rulesIn(at, now) });
    patch?.deleted.push(...deleted.map((rule) => ({ rule, owner })));
    patch?.added.push(...added.map((rule) => ({ rule, owner })));
  }
}

/** The edits of one table for these patches. */
export function patchEdits(
  table: RuleTable,
  { patches, was, wish }: { patches: PortalPatches; was: Statics; wish: Ruleset },
): readonly Edit[] {
  return PORTAL_CHAINS[table].flatMap((chain): readonly Edit[] => {
    const { deleted, added } = patches.get(`${table} ${chain}`) ?? { deleted: [], added: [] };
    if (deleted.length > MAX_DELETIONS) return rewriteChain({ table, chain }, wish);
    const at = { table, chain };
    return [
      ...deleted.map(({ rule, owner }): Edit => ({ kind: "delete", chain, rule, owner })),
      ...tailEdits(chain, { old: tailOf(was, at), now: tailOf(wish.statics, at) }),
      ...addEdits(at, added),
    ];
  });
}

/** The edits that write a shared chain as a whole. Each rule keeps its owner. */
export function rewriteChain(at: PortalChain, wish: Ruleset): readonly Edit[] {
  const { chain } = at;
  const tail = tailOf(wish.statics, at);
  return [
    { kind: "replace", chain, rules: [] },
    ...portalRules(wish, at).map(({ rule, owner }): Edit => (
      { kind: "append", chain, rule, owner }
    )),
    ...tail.map((rule): Edit => ({ kind: "append", chain, rule })),
  ];
}

/** The edits that add rules to a shared chain, before its tail if it may have one. */
export function addEdits(at: PortalChain, added: readonly OwnedRule[]): readonly Edit[] {
  const { chain } = at;
  const kind = mayHaveTail(at) ? "prepend" : "append";
  const ordered = mayHaveTail(at) ? added.toReversed() : added;
  return ordered.map(({ rule, owner }): Edit => ({ kind, chain, rule, owner }));
}

/** All rules that Services have in one shared chain, in order. */
export function portalRules(wish: Ruleset, at: PortalChain): readonly OwnedRule[] {
  const rules: OwnedRule[] = [];
  for (const [owner, service] of wish.services) {
    for (const { table, chain, rule } of renderPortals(service)) {
      if (table === at.table && chain === at.chain) rules.push({ rule, owner });
    }
  }
  return rules;
}

/** What stands at the end of a shared chain whatever Services there are. */
export function tailOf(statics: Statics, at: PortalChain): readonly Rule[] {
  return mayHaveTail(at) ? statics.tail : [];
}

function mayHaveTail({ table, chain }: PortalChain): boolean {
  return table === "nat" && chain === "KUBE-SERVICES";
}

function tailEdits(
  chain: string,
  { old, now }: { old: readonly Rule[]; now: readonly Rule[] },
): readonly Edit[] {
  if (sameRules(old, now)) return [];
  return [
    ...old.map((rule): Edit => ({ kind: "delete", chain, rule })),
    ...now.map((rule): Edit => ({ kind: "append", chain, rule })),
  ];
}

const PORTALS: readonly PortalChain[] = (["filter", "nat"] as const).flatMap((table) =>
  PORTAL_CHAINS[table].map((chain) => ({ table, chain }))
);

function rulesIn(at: PortalChain, portals: readonly Portal[]): readonly Rule[] {
  return portals.filter(({ table, chain }) => table === at.table && chain === at.chain)
    .map(({ rule }) => rule);
}

/** How the rules of one Service in one chain change. */
function blockPatch(
  at: PortalChain,
  { old, now }: { old: readonly Rule[]; now: readonly Rule[] },
): { deleted: readonly Rule[]; added: readonly Rule[] } {
  if (sameRules(old, now)) return { deleted: [], added: [] };
  const added = now.filter((rule) => !old.includes(rule));
  const kept = old.filter((rule) => now.includes(rule));
  const result = mayHaveTail(at) ? [...added, ...kept] : [...kept, ...added];
  if (!sameRules(result, now)) return { deleted: old, added: now };
  return { deleted: old.filter((rule) => !now.includes(rule)), added };
}

/** Takes one of the rules that are left; false when there is none. */
export function takeOne(left: Map<Rule, number>, rule: Rule): boolean {
  const count = left.get(rule) ?? 0;
  if (count > 0) left.set(rule, count - 1);
  return count > 0;
}
