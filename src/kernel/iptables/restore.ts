/**
 * Writes the input of iptables-restore --noflush. One table is one commit: it happens as a whole
 * or not at all. Lines count from 1, so that an error of the tool leads back to an owner.
 *
 * @module
 */

import type { Edit, TableEdits } from "./ruleset.ts";

/** Input for one run of iptables-restore. */
export interface RestoreText {
  readonly text: string;
  /** Of the text in UTF-8. */
  readonly bytes: number;
  /** How many tables it commits. */
  readonly tables: number;
  /** How many rules it adds, by table. */
  readonly rules: Readonly<Record<string, number>>;
  /** Owners of all edits, in order, without repetition. */
  readonly owners: readonly string[];
  /** Whose edit line `number` is; undefined for lines that belong to nobody. */
  ownerOfLine(number: number): string | undefined;
  /** Lines with COMMIT: an error there may be the fault of any line of its table. */
  readonly commitLines: ReadonlySet<number>;
}

const encoder = new TextEncoder();

/**
 * The text for these tables. Within a table: chains are declared, then rules are deleted and
 * added in the order of the edits, then chains are deleted.
 */
export function formatRestore(tables: readonly TableEdits[]): RestoreText {
  const lines: string[] = [];
  const ownerByLine: (string | undefined)[] = [undefined];
  const rules: Record<string, number> = {};
  const commitLines = new Set<number>();
  const write = (line: string, owner?: string) => {
    lines.push(line);
    ownerByLine.push(owner);
  };
  for (const { table, edits } of tables) {
    write(`*${table}`);
    for (const edit of edits) declare(edit, write);
    const before = lines.length;
    for (const edit of edits) change(edit, write);
    rules[table] = lines.slice(before).filter((line) => !line.startsWith("-D")).length;
    for (const edit of edits) if (edit.kind === "remove") write(`-X ${edit.chain}`, edit.owner);
    write("COMMIT");
    commitLines.add(lines.length);
  }
  const owners = [...new Set(ownerByLine.filter((owner) => owner !== undefined))];
  const text = `${lines.join("\n")}\n`;
  return {
    text,
    bytes: encoder.encode(text).length,
    tables: tables.length,
    rules,
    owners,
    commitLines,
    ownerOfLine: (number) => ownerByLine[number],
  };
}

type Write = (line: string, owner?: string) => void;

function declare(edit: Edit, write: Write): void {
  if (edit.kind === "replace" || edit.kind === "remove") {
    write(`:${edit.chain} - [0:0]`, edit.owner);
  }
}

function change(edit: Edit, write: Write): void {
  if (edit.kind === "replace") {
    for (const rule of edit.rules) write(`-A ${edit.chain} ${rule}`, edit.owner);
  } else if (edit.kind !== "remove") {
    write(`${OPTIONS[edit.kind]} ${edit.chain} ${edit.rule}`, edit.owner);
  }
}

const OPTIONS = { append: "-A", prepend: "-I", delete: "-D" } as const;
