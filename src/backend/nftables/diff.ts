/**
 * From what a part of the table was to what it should be, as commands in three steps that may be one
 * transaction or three: make what nobody refers to yet, place the elements that refer to it (see
 * claims.ts), empty what nobody refers to any more.
 *
 * @module
 */

import { formatListedRules } from "../../kernel/nft/print.ts";
import {
  type Chain,
  type Command,
  type Container,
  isSameHook,
  type NftFamily,
} from "../../kernel/nft/values.ts";
import type { Part } from "./desired.ts";

/** A part before and after. */
export interface PartChange {
  /** ServicePortName.key, or {@linkcode STATIC_KEY}. */
  readonly key: string;
  readonly was: Part;
  readonly wish: Part;
  /** The table has just been made: nothing can be there that we do not know of. */
  readonly isTableNew?: true;
}

/** The part that is there whatever services there are; sorts before all others. */
export const STATIC_KEY = "";

/** Sets, chains and rules that must be there before elements refer to them. */
export function diffBuild(
  { was, wish, isTableNew }: PartChange,
  family: NftFamily,
): readonly Command[] {
  const setsBefore = byName(was.sets);
  const chainsBefore = byName(was.chains);
  const useless = unusableSets({ was, wish });
  const changed = wish.chains.filter((chain) => {
    const before = chainsBefore.get(chain.name);
    return useless.length > 0 || before === undefined || !isSameChain(before, chain, family);
  });
  return [
    // A set that rules refer to cannot be deleted.
    ...(useless.length > 0 ? was.chains.flatMap(flushCommands) : []),
    ...useless.map((set): Command => ({ op: "delete-set", set })),
    ...wish.sets.filter((set) => !isSameSet(setsBefore.get(set.name), set))
      .map((set): Command => ({ op: "add-set", set })),
    ...changed.flatMap((chain) => {
      const before = chainsBefore.get(chain.name) ?? (isTableNew ? "absent" : "unknown");
      return headCommands(chain, before);
    }),
    ...changed.flatMap(ruleCommands),
  ];
}

/** Sets of a wanted name that are of another make: they have to go first. */
function unusableSets({ was, wish }: Pick<PartChange, "was" | "wish">): readonly Container[] {
  const wanted = byName(wish.sets);
  return was.sets.filter((set) => {
    const after = wanted.get(set.name);
    return after !== undefined && !isSameMake(set, after);
  });
}

/** Empties chains and removes sets that are not wanted any more. */
export function diffTidy({ was, wish }: PartChange): readonly Command[] {
  const setsAfter = byName(wish.sets);
  return [
    ...unwanted({ was, wish }).flatMap(flushCommands),
    ...was.sets.filter((set) => !setsAfter.has(set.name))
      .map((set): Command => ({ op: "delete-set", set })),
  ];
}

/** Names of chains that are not wanted any more. */
export function staleChains(change: PartChange): readonly string[] {
  return unwanted(change).map(({ name }) => name);
}

function unwanted({ was, wish }: Pick<PartChange, "was" | "wish">): readonly Chain[] {
  const after = byName(wish.chains);
  return was.chains.filter(({ name }) => !after.has(name));
}

/** A base chain cannot be moved to another hook or priority: it is made anew. */
function headCommands(chain: Chain, before: Chain | "absent" | "unknown"): readonly Command[] {
  const { rules: _, ...head } = chain;
  const add: Command = { op: "add-chain", chain: head };
  const flush: Command = { op: "flush-chain", chain: chain.name };
  if (before === "absent") return [add];
  // It may be there without our knowledge, and then it may hold anything.
  if (before === "unknown") return [add, flush];
  if (isSameHook(before.base, chain.base)) return before.rules.length === 0 ? [] : [flush];
  return [flush, { op: "delete-chain", chain: chain.name }, add];
}

function flushCommands({ name, rules }: Chain): readonly Command[] {
  return rules.length > 0 ? [{ op: "flush-chain", chain: name }] : [];
}

function ruleCommands({ name, rules }: Chain): readonly Command[] {
  return rules.map((rule): Command => ({ op: "add-rule", chain: name, rule }));
}

function isSameChain(before: Chain, after: Chain, family: NftFamily): boolean {
  if (before === after) return true;
  return isSameHook(before.base, after.base) &&
    formatListedRules(before, family).join("\n") === formatListedRules(after, family).join("\n");
}

function isSameSet(before: Container | undefined, after: Container): boolean {
  return before === after ||
    before !== undefined && isSameMake(before, after) && timeoutOf(before) === timeoutOf(after);
}

function isSameMake(before: Container, after: Container): boolean {
  return before.kind === after.kind && before.type.join() === after.type.join();
}

function timeoutOf(set: Container): number | undefined {
  return set.kind === "set" ? set.timeoutSeconds : undefined;
}

function byName<T extends { readonly name: string }>(values: readonly T[]): ReadonlyMap<string, T> {
  return new Map(values.map((value) => [value.name, value]));
}
