/**
 * Reads what iptables-save prints:
 *
 *     *nat
 *     :PREROUTING ACCEPT [0:0]
 *     :KUBE-SERVICES - [0:0]
 *     -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
 *     COMMIT
 *
 * @module
 */

import type { Rule, TableName, Tables } from "./ruleset.ts";

/**
 * The tables of one family.
 *
 * @throws {SyntaxError} at a line that is none of iptables-save.
 * @throws {Error} when a table holds what only the nft tool can show: to take it for empty would
 * add every jump once more.
 */
export function parseSave(text: string): Tables {
  const tables = new Map<TableName, Map<string, Rule[]>>();
  let table = new Map<string, Rule[]>();
  for (const line of linesOf(text)) {
    if (line.startsWith("-A ")) {
      addRule(table, line);
    } else if (line.startsWith(":")) {
      table.set(line.slice(1, endOfWord(line, 1)), []);
    } else if (line.startsWith("*")) {
      table = new Map();
      tables.set(line.slice(1).trim() as TableName, table);
    } else if (line.startsWith("#")) {
      refuseIncompatible(line);
    } else if (line !== "" && line !== "COMMIT") {
      throw new SyntaxError(`Cannot parse iptables-save line ${JSON.stringify(line)}`);
    }
  }
  return tables;
}

/**
 * The canonical text of a rule: single blanks outside of quotes. iptables 1.8 prints two of them
 * after --nfacct-name.
 */
export function normaliseRule(rule: string): Rule {
  if (!rule.includes("  ")) return rule;
  return rule.replace(/"(?:[^"\\]|\\.)*"|\s+/g, (part) => part.startsWith('"') ? part : " ").trim();
}

/** # Table `nat' is incompatible, use 'nft' tool. */
function refuseIncompatible(line: string): void {
  const table = /^# Table `(\w+)' (?:is|contains) incompatible/.exec(line)?.[1];
  if (table === undefined || !["nat", "filter", "mangle"].includes(table)) return;
  throw new Error(
    `Cannot read iptables table "${table}": somebody added rules with the nft tool that iptables ` +
      `cannot show`,
  );
}

function* linesOf(text: string): Generator<string> {
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\n", at);
    const stop = end < 0 ? text.length : end;
    yield text.slice(at, stop);
    at = stop + 1;
  }
}

function endOfWord(line: string, from: number): number {
  const blank = line.indexOf(" ", from);
  return blank < 0 ? line.length : blank;
}

function addRule(table: Map<string, Rule[]>, line: string): void {
  const end = endOfWord(line, 3);
  const chain = line.slice(3, end);
  const rules = table.get(chain);
  if (rules === undefined) {
    throw new SyntaxError(`Cannot parse iptables-save: no chain for ${JSON.stringify(line)}`);
  }
  rules.push(normaliseRule(line.slice(end + 1)));
}
