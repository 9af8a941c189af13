/**
 * iptables in memory, for tests of what is built on {@linkcode Iptables}. It reads the same restore
 * text and refuses what the tools refuse: chains that are not there, jumps to nowhere, deletion of
 * rules that are not there and of chains in use. test/contract/iptables_test.ts asks it and both
 * real variants the same questions.
 *
 * @module
 */

import type { IpFamily } from "../../model/ip.ts";
import { ExecError } from "../exec/run.ts";
import { restoreFailure } from "./errors.ts";
import type { Iptables } from "./iptables.ts";
import type { Rule, TableName, Tables } from "./ruleset.ts";
import { normaliseRule } from "./save.ts";
import type { IptablesVariant, IptablesVersion } from "./version.ts";

const BUILT_IN_CHAINS: Readonly<Record<TableName, readonly string[]>> = {
  filter: ["INPUT", "FORWARD", "OUTPUT"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  raw: ["PREROUTING", "OUTPUT"],
  security: ["INPUT", "FORWARD", "OUTPUT"],
};

const BUILT_IN_TARGETS = new Set(
  ["ACCEPT", "DROP", "RETURN", "REJECT", "MARK", "MASQUERADE", "DNAT", "SNAT", "LOG"],
);

/** A kernel that holds nothing but the tables of one family. */
export class FakeIptables implements Iptables {
  readonly family: IpFamily;
  readonly version: IptablesVersion;
  /** Texts that were restored, oldest first; failed ones too. */
  readonly restores: string[] = [];
  /** How often tables were read. */
  saves = 0;
  /** Called before each restore; what it throws is thrown. */
  onRestore: (text: string) => void = () => {};
  /** Given: lines that the kernel refuses though the tool can read them. */
  refuses: (line: string) => boolean = () => false;
  #tables = new Map<TableName, Map<string, Rule[]>>();

  constructor(
    { family = "IPv4", variant = "nf_tables" }: { family?: IpFamily; variant?: IptablesVariant } =
      {},
  ) {
    this.family = family;
    this.version = { numbers: [1, 8, 9], variant };
  }

  /** A copy of the tables, or of one of them. */
  save(table?: TableName): Promise<Tables> {
    this.saves++;
    const wanted = [...this.#tables].filter(([name]) => table === undefined || name === table);
    return Promise.resolve(new Map(wanted.map(([name, chains]) => [name, copyOf(chains)])));
  }

  /** Commits table by table, as the tools do: those before a failed one stay written. */
  restore(text: string): Promise<void> {
    this.restores.push(text);
    try {
      this.onRestore(text);
      this.#run(text);
    } catch (error) {
      return Promise.reject(error);
    }
    return Promise.resolve();
  }

  #run(text: string): void {
    let draft: Draft | undefined;
    for (const [i, line] of text.split("\n").entries()) {
      if (line === "" || line.startsWith("#")) continue;
      if (line.startsWith("*")) {
        draft = this.#open(line.slice(1));
      } else if (draft === undefined) {
        fail({ line: i + 1, text });
      } else if (line === "COMMIT") {
        this.#commit(draft, { line: i + 1, text });
        draft = undefined;
      } else {
        if (!applyLine(draft.chains, line)) fail({ line: i + 1, text });
        if (this.refuses(line)) draft.refused ??= i + 1;
      }
    }
  }

  #open(name: string): Draft {
    const table = name as TableName;
    const known = this.#tables.get(table);
    const builtIn = BUILT_IN_CHAINS[table].map((chain): [string, Rule[]] => [chain, []]);
    return { table, chains: known === undefined ? new Map(builtIn) : copyOf(known) };
  }

  /** Only the nf_tables variant tells which line the kernel did not like. */
  #commit(draft: Draft, at: { line: number; text: string }): void {
    const isNft = this.version.variant === "nf_tables";
    if (draft.refused !== undefined) fail({ ...at, line: isNft ? draft.refused : at.line });
    if (!everyJumpLands(draft.chains)) fail(at);
    this.#tables.set(draft.table, draft.chains);
  }
}

interface Draft {
  readonly table: TableName;
  readonly chains: Map<string, Rule[]>;
  refused?: number;
}

function copyOf(chains: ReadonlyMap<string, readonly Rule[]>): Map<string, Rule[]> {
  return new Map([...chains].map(([name, rules]) => [name, [...rules]]));
}

function fail({ line, text }: { line: number; text: string }): never {
  const stderr = `iptables-restore: line ${line} failed`;
  throw restoreFailure(
    new ExecError("iptables-restore", { failure: "exit", code: 1, stderr }),
    text,
  );
}

/** Returns whether the tool would take the line. */
function applyLine(chains: Map<string, Rule[]>, line: string): boolean {
  const declared = /^:(\S+) /.exec(line)?.[1];
  if (declared !== undefined) {
    chains.set(declared, []);
    return true;
  }
  const [, option = "", chain = "", rest = ""] = /^-(\w) (\S+) ?(.*)$/.exec(line) ?? [];
  const rules = chains.get(chain);
  if (rules === undefined) return false;
  const rule = normaliseRule(rest);
  switch (option) {
    case "A":
      rules.push(rule);
      return true;
    case "I":
      rules.unshift(rule);
      return true;
    case "D":
      return rules.includes(rule) && rules.splice(rules.indexOf(rule), 1).length === 1;
    case "X":
      return rules.length === 0 && !isJumpedTo(chains, chain) && chains.delete(chain);
    default:
      return false;
  }
}

function isJumpedTo(chains: ReadonlyMap<string, readonly Rule[]>, chain: string): boolean {
  return [...chains.values()].some((rules) => rules.some((rule) => targetOf(rule) === chain));
}

function everyJumpLands(chains: ReadonlyMap<string, readonly Rule[]>): boolean {
  for (const rules of chains.values()) {
    for (const rule of rules) {
      const target = targetOf(rule);
      if (target !== undefined && !BUILT_IN_TARGETS.has(target) && !chains.has(target)) {
        return false;
      }
    }
  }
  return true;
}

/** The chain or target of a rule; undefined when it only counts. */
export function targetOf(rule: Rule): string | undefined {
  const bare = rule.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  return /(?:^| )-[jg] (\S+)/.exec(bare)?.[1];
}
