/**
 * What must be written, in the order in which it may be written without a gap: chains nobody
 * jumps to yet, then the shared chains that lead to them, then the removal of chains that nothing
 * leads to any more.
 *
 * @module
 */

import { formatRestore, type RestoreText } from "../../kernel/iptables/restore.ts";
import type { Edit, TableEdits } from "../../kernel/iptables/ruleset.ts";
import type { RuleTable } from "./ruleset.ts";

/** Tables that vipd writes to. */
export type WrittenTable = RuleTable | "mangle";

/** How many rules are ours, by table. */
export type RuleCounts = Readonly<Record<RuleTable, number>>;

/** The difference between two states of the tables of one family. */
export interface Changes {
  /** Chains of table nat, each filled at once. */
  readonly chains: readonly Edit[];
  /** Rules in shared chains and jumps to them. */
  readonly shared: Readonly<Record<WrittenTable, readonly Edit[]>>;
  /** Chains of table nat that go away. */
  readonly removals: readonly Edit[];
  /** Afterwards. */
  readonly owned: RuleCounts;
}

/** Whether there is nothing to write. */
export function isEmpty({ chains, shared, removals }: Changes): boolean {
  return chains.length === 0 && removals.length === 0 &&
    Object.values(shared).every((edits) => edits.length === 0);
}

/** `table chain` of every chain that is touched, without repetition. */
export function touchedChains({ chains, shared, removals }: Changes): ReadonlySet<string> {
  const touched = new Set<string>();
  for (const { chain } of [...chains, ...removals]) touched.add(`nat ${chain}`);
  for (const [table, edits] of Object.entries(shared)) {
    for (const { chain } of edits) touched.add(`${table} ${chain}`);
  }
  return touched;
}

/** A commit costs about as much as what is quadratic in this many parts put together. */
const PARTS_IN_ONE = 2;

/**
 * The texts to restore, one after the other. A burst of changes is a single one. What is much more
 * than `maxLines` has service chains first, in parts: iptables-nft-restore is quadratic in its
 * input.
 */
export function* restoresOf(
  changes: Changes,
  { maxLines }: { maxLines: number },
): Generator<RestoreText> {
  const { chains, shared, removals } = changes;
  const all = [...chains, ...shared.nat, ...removals];
  if (lineCount(all) <= PARTS_IN_ONE * maxLines) {
    yield* formatNonEmpty(tablesOf(changes, all));
    return;
  }
  for (const part of parts(chains, maxLines)) yield* formatNonEmpty([nat(part)]);
  yield* formatNonEmpty(tablesOf(changes, shared.nat));
  for (const part of parts(removals, maxLines)) yield* formatNonEmpty([nat(part)]);
}

/** Chains refer to each other in this order, so they can go away in it in several commits. */
const REMOVAL_ORDER = ["KUBE-FW-", "KUBE-EXT-", "KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-"];

/** Sorts removals so that no chain goes away before those that jump to it. */
export function orderRemovals(removals: readonly Edit[]): readonly Edit[] {
  const rank = ({ chain }: Edit) => REMOVAL_ORDER.findIndex((prefix) => chain.startsWith(prefix));
  return removals.toSorted((a, b) => rank(a) - rank(b));
}

function nat(edits: readonly Edit[]): TableEdits {
  return { table: "nat", edits };
}

/** filter before nat, as kube-proxy writes them. */
function tablesOf({ shared }: Changes, natEdits: readonly Edit[]): readonly TableEdits[] {
  return [
    { table: "filter", edits: shared.filter },
    nat(natEdits),
    { table: "mangle", edits: shared.mangle },
  ];
}

function* formatNonEmpty(tables: readonly TableEdits[]): Generator<RestoreText> {
  const written = tables.filter(({ edits }) => edits.length > 0);
  if (written.length > 0) yield formatRestore(written);
}

function lineCount(edits: readonly Edit[]): number {
  return edits.reduce((sum, edit) => sum + linesOf(edit), 0);
}

function linesOf(edit: Edit): number {
  if (edit.kind === "replace") return 1 + edit.rules.length;
  return edit.kind === "remove" ? 2 : 1;
}

/** Cuts between owners only: the chains of one Service are written at once. */
function* parts(edits: readonly Edit[], maxLines: number): Generator<readonly Edit[]> {
  let part: Edit[] = [];
  let lines = 0;
  for (const edit of edits) {
    const isSameOwner = edit.owner !== undefined && edit.owner === part.at(-1)?.owner;
    if (part.length > 0 && !isSameOwner && lines + linesOf(edit) > maxLines) {
      yield part;
      part = [];
      lines = 0;
    }
    part.push(edit);
    lines += linesOf(edit);
  }
  if (part.length > 0) yield part;
}
