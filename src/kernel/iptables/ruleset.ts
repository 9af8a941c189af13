/**
 * Values of iptables: tables, chains, rules and edits, in the words of iptables(8).
 *
 * A rule is always its canonical text, as iptables-save prints it after `-A CHAIN `. What we
 * render and what we read back can so be compared as strings.
 *
 * @module
 */

/** Tables that vipd knows of. */
export type TableName = "filter" | "nat" | "mangle" | "raw" | "security";

/** A rule without its chain: `-d 10.0.0.1/32 -p tcp -j KUBE-SVC-ABC`. */
export type Rule = string;

/** A user-defined chain and all of its rules, in order. */
export interface Chain {
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** What iptables-save says of one table: rules by chain, built-in chains included. */
export type Table = ReadonlyMap<string, readonly Rule[]>;

/** What iptables-save says of one family. A table nobody has used yet is missing. */
export type Tables = ReadonlyMap<TableName, Table>;

/** One step of a restore. `owner` tells whose step it was if the kernel refuses it. */
export type Edit =
  & { readonly owner?: string }
  & (
    /** Creates the chain, or empties it, and fills it. */
    | { readonly kind: "replace"; readonly chain: string; readonly rules: readonly Rule[] }
    /** Adds at the end of a chain. */
    | { readonly kind: "append"; readonly chain: string; readonly rule: Rule }
    /** Adds at the start of a chain. */
    | { readonly kind: "prepend"; readonly chain: string; readonly rule: Rule }
    /** Deletes the first rule that equals this one. */
    | { readonly kind: "delete"; readonly chain: string; readonly rule: Rule }
    /** Empties the chain and deletes it; no other rule may jump to it any more. */
    | { readonly kind: "remove"; readonly chain: string }
  );

/** The edits of one table: one commit. */
export interface TableEdits {
  readonly table: TableName;
  readonly edits: readonly Edit[];
}

/** The rules of a chain; empty when the table or the chain is not there. */
export function rulesOf(
  tables: Tables,
  { table, chain }: { table: TableName; chain: string },
): readonly Rule[] {
  return tables.get(table)?.get(chain) ?? [];
}
