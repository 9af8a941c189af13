/**
 * Wanted sets x observed sets -> what has to change.
 *
 * @module
 */

import { type IpSet, maxElementsFor, type ObservedSet, type SetHeader } from "./values.ts";

/** What has to change in one set. */
export interface SetChange {
  readonly header: SetHeader;
  /**
   * - `create`: it does not exist.
   * - `update`: entries differ.
   * - `replace`: it is too small; a larger one with the entries `add` takes its place.
   */
  readonly kind: "create" | "update" | "replace";
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

/** A set of the wanted name that is something else. */
export interface SetConflict {
  readonly name: string;
  /** As in "hash:net family inet". */
  readonly wanted: string;
  readonly observed: string;
}

/** The difference between what is wanted and what is there. */
export interface SetsDiff {
  readonly changes: readonly SetChange[];
  /** Sets that cannot be made what they should be; nothing of them is in `changes`. */
  readonly conflicts: readonly SetConflict[];
}

/** Compares each wanted set with the observed one. Sets that are not wanted are left alone. */
export function diffSets(
  observed: ReadonlyMap<string, ObservedSet>,
  desired: Iterable<IpSet>,
): SetsDiff {
  const changes: SetChange[] = [];
  const conflicts: SetConflict[] = [];
  for (const set of desired) {
    const found = observed.get(set.header.name);
    const conflict = found && conflictOf(set.header, found);
    if (conflict !== undefined) conflicts.push(conflict);
    else changes.push(...changeOf(set, found));
  }
  return { changes, conflicts };
}

function changeOf({ header, entries }: IpSet, found: ObservedSet | undefined): SetChange[] {
  const wide = widened(header, entries.size);
  if (found === undefined) {
    return [{ header: wide, kind: "create", add: [...entries], remove: [] }];
  }
  if (wide.type !== "bitmap:port" && found.maxElements < wide.maxElements) {
    return [{ header: wide, kind: "replace", add: [...entries], remove: [] }];
  }
  const add = [...entries].filter((entry) => !found.entries.has(entry));
  const remove = [...found.entries].filter((entry) => !entries.has(entry));
  return add.length + remove.length === 0 ? [] : [{ header: wide, kind: "update", add, remove }];
}

/** The header with room for so many entries. */
export function widened(header: SetHeader, count: number): SetHeader {
  if (header.type === "bitmap:port") return header;
  const maxElements = Math.max(header.maxElements, maxElementsFor(count));
  return maxElements === header.maxElements ? header : { ...header, maxElements };
}

function conflictOf(header: SetHeader, found: ObservedSet): SetConflict | undefined {
  const family = header.type === "bitmap:port" ? undefined : header.family;
  if (found.type === header.type && found.family === family) return undefined;
  return {
    name: header.name,
    wanted: describe(header.type, family),
    observed: describe(found.type, found.family),
  };
}

function describe(type: string, family: string | undefined): string {
  return family === undefined ? type : `${type} of ${family}`;
}

/** What to tell of a conflict. */
export function conflictError({ name, wanted, observed }: SetConflict): Error {
  return new Error(
    `Cannot use set ${name}: it is a ${observed}, not a ${wanted}; ` +
      `remove it with "ipset destroy ${name}" and it is made again`,
  );
}
