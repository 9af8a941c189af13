/**
 * nf_tables in memory, for tests of what is built on {@linkcode Nft}. It refuses what the kernel
 * refuses: unknown names, doubled elements, jumps to nowhere, chains and sets still in use.
 * test/contract/nft_test.ts asks it and the real tool the same questions.
 *
 * @module
 */

import { failedCommand, type Nft, type NftErrno, NftError, type Written } from "./nft.ts";
import type { ObservedChain, ObservedSet, ObservedTable } from "./observed.ts";
import { formatListedRules, formatTransaction } from "./print.ts";
import {
  type Chain,
  type Command,
  type Container,
  type Element,
  elementKey,
  type Rule,
  type TableName,
  type Transaction,
  type Verdict,
} from "./values.ts";

interface FakeTable {
  comment: string;
  readonly chains: Map<string, Chain>;
  readonly sets: Map<string, { readonly set: Container; readonly elements: Map<string, Element> }>;
}

/** A kernel that holds nothing but tables. */
export class FakeNft implements Nft {
  readonly batchCommands = 500;
  #tables = new Map<string, FakeTable>();
  readonly #watchers = new Set<
    { readonly table: string; readonly onChange: (w: string) => void }
  >();
  /** Transactions that were applied, oldest first. */
  readonly transactions: Transaction[] = [];
  /** How often a table was read. */
  listings = 0;
  /** Given: asked before each command; a text refuses it. */
  refuse: ((command: Command) => string | undefined) | undefined;

  transact(transaction: Transaction): Promise<Written> {
    return Promise.resolve().then(() => this.#apply(transaction));
  }

  list(table: TableName): Promise<ObservedTable | undefined> {
    this.listings++;
    const found = this.#tables.get(keyOf(table));
    return Promise.resolve(found && observe(found, table));
  }

  fingerprints(chain: Chain, table: TableName): readonly string[] {
    return formatListedRules(chain, table.family);
  }

  watch(
    table: TableName,
    options: { readonly onChange: (what: string) => void; readonly signal: AbortSignal },
  ): Promise<void> {
    const watcher = { table: keyOf(table), onChange: options.onChange };
    this.#watchers.add(watcher);
    return new Promise((resolve) =>
      options.signal.addEventListener("abort", () => {
        this.#watchers.delete(watcher);
        resolve();
      })
    );
  }

  /** Another program's transaction: watchers hear of it, {@linkcode transactions} does not. */
  async interfere(transaction: Transaction): Promise<void> {
    await this.transact(transaction);
    this.transactions.pop();
    for (const { table, onChange } of this.#watchers) {
      if (table === keyOf(transaction.table)) onChange("changed by another program");
    }
  }

  breathe(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {}

  #apply(transaction: Transaction): Written {
    const key = keyOf(transaction.table);
    const before = this.#tables.get(key);
    const state: { table: FakeTable | undefined } = { table: before && copyOf(before) };
    transaction.commands.forEach((command, index) => {
      const why = this.refuse?.(command) ?? applyCommand(state, command);
      if (why !== undefined) throw refusal(transaction, { index, why });
    });
    if (state.table === undefined) this.#tables.delete(key);
    else this.#tables.set(key, state.table);
    this.transactions.push(transaction);
    return { bytes: formatTransaction(transaction).length, processes: 0 };
  }
}

const MESSAGES: Readonly<Record<string, string>> = {
  ENOENT: "No such file or directory",
  EEXIST: "File exists",
  EBUSY: "Device or resource busy",
};

function refusal(
  transaction: Transaction,
  { index, why }: { readonly index: number; readonly why: string },
): NftError {
  return new NftError(
    `Cannot apply ${failedCommand(transaction, index)}: ${MESSAGES[why] ?? why}`,
    { failure: "refused", errno: why in MESSAGES ? (why as NftErrno) : undefined, index },
  );
}

/** Does the command, or says why not. */
function applyCommand(
  state: { table: FakeTable | undefined },
  command: Command,
): string | undefined {
  if (command.op === "add-table") {
    state.table ??= { comment: command.comment, chains: new Map(), sets: new Map() };
    return undefined;
  }
  if (state.table === undefined) return "ENOENT";
  if (command.op === "delete-table") {
    state.table = undefined;
    return undefined;
  }
  return "chain" in command ? chainCommand(state.table, command) : setCommand(state.table, command);
}

function chainCommand(
  table: FakeTable,
  command: Extract<Command, { readonly chain: unknown }>,
): string | undefined {
  if (command.op === "add-chain") {
    const existing = table.chains.get(command.chain.name);
    const { base } = command.chain;
    if (existing === undefined) {
      table.chains.set(command.chain.name, { ...command.chain, rules: [] });
    } else if (base !== undefined && JSON.stringify(existing.base) !== JSON.stringify(base)) {
      return "EEXIST";
    }
    return undefined;
  }
  const chain = table.chains.get(command.chain);
  if (chain === undefined) return "ENOENT";
  if (command.op === "add-rule") {
    if (!hasTargets(table, command.rule)) return "ENOENT";
    table.chains.set(chain.name, { ...chain, rules: [...chain.rules, command.rule] });
  } else if (command.op === "flush-chain") table.chains.set(chain.name, { ...chain, rules: [] });
  else if (isChainUsed(table, chain.name)) return "EBUSY";
  else table.chains.delete(chain.name);
  return undefined;
}

function setCommand(
  table: FakeTable,
  command: Extract<Command, { readonly set: unknown }>,
): string | undefined {
  const found = table.sets.get(command.set.name);
  if (command.op === "add-set") {
    const elements = found?.elements ?? new Map();
    table.sets.set(command.set.name, { set: command.set, elements });
    return undefined;
  }
  if (found === undefined) return "ENOENT";
  if ("element" in command) return elementCommand({ table, elements: found.elements }, command);
  const isUsed = rulesOf(table).some((rule) => setsOf(rule).includes(command.set.name));
  return isUsed ? "EBUSY" : (table.sets.delete(command.set.name), undefined);
}

function elementCommand(
  { table, elements }: { readonly table: FakeTable; readonly elements: Map<string, Element> },
  { op, element }: Extract<Command, { readonly element: Element }>,
): string | undefined {
  const key = elementKey(element);
  const existing = elements.get(key);
  if (op === "delete-element") {
    return existing === undefined ? "ENOENT" : (elements.delete(key), undefined);
  }
  const target = chainOf(element.verdict);
  if (target !== undefined && !table.chains.has(target)) return "ENOENT";
  if (existing === undefined) elements.set(key, element);
  else if (JSON.stringify(existing.verdict) !== JSON.stringify(element.verdict)) return "EEXIST";
  return undefined;
}

function copyOf(table: FakeTable): FakeTable {
  const sets = [...table.sets].map(([name, { set, elements }]) =>
    [name, { set, elements: new Map(elements) }] as const
  );
  return { comment: table.comment, chains: new Map(table.chains), sets: new Map(sets) };
}

function observe(table: FakeTable, { family }: TableName): ObservedTable {
  const chains = new Map<string, ObservedChain>();
  for (const [name, chain] of table.chains) {
    const rules = formatListedRules(chain, family);
    chains.set(name, chain.base === undefined ? { rules } : { base: chain.base, rules });
  }
  const sets = new Map<string, ObservedSet>();
  for (const [name, { set, elements }] of table.sets) {
    const timeoutSeconds = set.kind === "set" ? set.timeoutSeconds : undefined;
    sets.set(name, {
      kind: set.kind,
      type: set.type,
      elements: new Map(elements),
      ...(timeoutSeconds !== undefined && { timeoutSeconds }),
    });
  }
  return { comment: table.comment, chains, sets };
}

function isChainUsed(table: FakeTable, name: string): boolean {
  const inRules = rulesOf(table).some((rule) => chainsOf(rule).includes(name));
  return inRules ||
    [...table.sets.values()].some(({ elements }) =>
      [...elements.values()].some(({ verdict }) => chainOf(verdict) === name)
    );
}

function hasTargets(table: FakeTable, rule: Rule): boolean {
  return chainsOf(rule).every((name) => table.chains.has(name)) &&
    setsOf(rule).every((name) => table.sets.has(name));
}

function rulesOf(table: FakeTable): readonly Rule[] {
  return [...table.chains.values()].flatMap(({ rules }) => rules);
}

function chainsOf(rule: Rule): readonly string[] {
  return rule.statements.flatMap((statement) => {
    if (statement.kind === "pick-chain") return statement.chains;
    return "chain" in statement ? [statement.chain] : [];
  });
}

function setsOf(rule: Rule): readonly string[] {
  return rule.statements.flatMap((statement) =>
    "set" in statement ? [statement.set] : "map" in statement ? [statement.map] : []
  );
}

function chainOf(verdict: Verdict | undefined): string | undefined {
  return verdict !== undefined && "chain" in verdict ? verdict.chain : undefined;
}

function keyOf(table: TableName): string {
  return `${table.family} ${table.name}`;
}
