/**
 * What of the wish is in the kernel already. A start with the right table in place, and a repair after
 * somebody changed it, are then ordinary differences.
 *
 * @module
 */

import type { Nft } from "../../kernel/nft/nft.ts";
import type { ObservedChain, ObservedSet, ObservedTable } from "../../kernel/nft/observed.ts";
import {
  type Chain,
  type Container,
  isSameHook,
  type Rule,
  type TableName,
} from "../../kernel/nft/values.ts";
import { type Containers, TABLE_COMMENT } from "./containers.ts";
import type { Part, Placed } from "./desired.ts";
import { isAffinityName, isServiceName } from "./names.ts";

/** Stands for rules that are not the wanted ones; no chain of ours has it. */
const OTHER_RULE: Rule = { statements: [{ kind: "return" }], comment: "others" };

/** The chains and sets of a part as they are in the kernel. */
export function recognisePart(
  wish: Part,
  { observed, nft, table }: {
    readonly observed: ObservedTable | undefined;
    readonly nft: Nft;
    readonly table: TableName;
  },
): Part {
  if (observed === undefined) return { chains: [], sets: [], elements: [] };
  const chains = wish.chains.flatMap((chain) => {
    const found = observed.chains.get(chain.name);
    return found === undefined
      ? []
      : [isWanted(chain, found, { nft, table }) ? chain : foundChain(chain.name, found)];
  });
  const sets = wish.sets.flatMap((set) => {
    const found = observed.sets.get(set.name);
    return found === undefined ? [] : [recogniseSet(set, found)];
  });
  return { chains, sets, elements: [] };
}

/** Chains and sets of services, and sets of ours, that no part has. */
export function strayPart(
  observed: ObservedTable,
  { parts, containers }: { readonly parts: Iterable<Part>; readonly containers: Containers },
): Part {
  const chains = new Map([...observed.chains].filter(([name]) => isServiceName(name)));
  const own = new Set(Object.values(containers).map(({ name }) => name));
  const sets = new Map(
    [...observed.sets].filter(([name, { kind }]) =>
      own.has(name) || kind === "set" && isAffinityName(name)
    ),
  );
  for (const part of parts) {
    for (const { name } of part.chains) chains.delete(name);
    for (const { name } of part.sets) sets.delete(name);
  }
  return {
    chains: [...chains].map(([name, chain]) => foundChain(name, chain)),
    sets: [...sets].map(([name, { kind }]) => ({ kind, name, type: [] })),
    elements: [],
  };
}

/** Elements of the sets and maps that are always there. */
export function foundElements(
  observed: ObservedTable | undefined,
  containers: readonly Container[],
): readonly Placed[] {
  return containers.flatMap((set) =>
    [...observed?.sets.get(set.name)?.elements.values() ?? []].map((element) => ({ set, element }))
  );
}

/** Why the table must be made anew: a set of ours is of another make than it should be. */
export function hasForeignTypes(
  observed: ObservedTable,
  containers: readonly Container[],
): boolean {
  return containers.some((set) => {
    const found = observed.sets.get(set.name);
    return found !== undefined && !isOfKind(found, set);
  });
}

/** Whether what is there can serve as the set; how long it remembers can be changed. */
function isOfKind(found: ObservedSet, set: Container): boolean {
  const isForgetful = set.kind === "set" && set.timeoutSeconds !== undefined;
  return found.oddity === undefined && found.kind === set.kind &&
    found.type.join() === set.type.join() &&
    (found.timeoutSeconds !== undefined) === isForgetful;
}

/** Whether a table of our name was made by a proxy: it says so, or it holds what only proxies make. */
export function isProxyTable(observed: ObservedTable, containers: Containers): boolean {
  if (observed.comment === TABLE_COMMENT) return true;
  if (observed.chains.size === 0 && observed.sets.size === 0) return true;
  const names = Object.values(containers).map(({ name }) => name);
  return names.some((name) => observed.sets.has(name)) ||
    observed.chains.has("services") && observed.chains.has("masquerading");
}

function isWanted(
  wish: Chain,
  found: ObservedChain,
  { nft, table }: { readonly nft: Nft; readonly table: TableName },
): boolean {
  return isSameHook(found.base, wish.base) &&
    found.rules.join("\n") === nft.fingerprints(wish, table).join("\n");
}

function foundChain(name: string, { base, rules }: ObservedChain): Chain {
  const chain = { name, rules: rules.map(() => OTHER_RULE) };
  return base === undefined ? chain : { ...chain, base };
}

function recogniseSet(wish: Container, found: ObservedSet): Container {
  if (!isOfKind(found, wish)) return { kind: found.kind, name: wish.name, type: [] };
  if (wish.kind === "map" || wish.timeoutSeconds === found.timeoutSeconds) return wish;
  return { ...wish, timeoutSeconds: found.timeoutSeconds ?? 0 };
}
