/**
 * Writing many parts in transactions of bounded size, and finding the parts that the kernel does not
 * take. The netlink commit lock of the whole host is held while a transaction is applied, so none may
 * be large; what a transaction refers to is written by an earlier one.
 *
 * @module
 */

import { isRefused, type Nft, type NftError } from "../../kernel/nft/nft.ts";
import type { Command, TableName } from "../../kernel/nft/values.ts";
import type { Claims } from "./claims.ts";
import { diffBuild, diffTidy, type PartChange, staleChains, STATIC_KEY } from "./diff.ts";

/** Elements are cheap, but each transaction with a verdict makes the kernel walk through all rules. */
const MAX_ELEMENTS = 2_000;

/** So many refusals and nothing that worked: it is not the services. */
const MAX_REFUSALS = 64;

/** A part that the kernel does not take. */
export interface Refused {
  readonly change: PartChange;
  readonly error: NftError;
}

/** What writing came to. */
export interface Outcome {
  readonly refused: readonly Refused[];
  /** Emptied, waiting to be deleted. */
  readonly staleChains: readonly string[];
}

/** What one transaction does for a run of parts, and what to remember when it is done. */
interface Step {
  readonly commands: readonly Command[];
  readonly done: () => void;
}

type MakeStep = (changes: readonly PartChange[]) => Step;

/** Writes to one table. */
export class Program {
  readonly #nft: Nft;
  readonly #table: TableName;
  readonly #claims: Claims;
  /** Bytes and processes so far. */
  bytes = 0;
  processes = 0;
  commands = 0;
  #refusals = 0;
  #hasWritten = false;

  constructor(options: { readonly nft: Nft; readonly table: TableName; readonly claims: Claims }) {
    this.#nft = options.nft;
    this.#table = options.table;
    this.#claims = options.claims;
  }

  /**
   * Writes all changes in one transaction if it is small, else in several.
   *
   * - `isolate`: parts that are refused are found and left out.
   * - otherwise the first refusal is thrown.
   */
  async write(
    changes: readonly PartChange[],
    onRefusal: "isolate" | "throw",
  ): Promise<Outcome> {
    const refused: Refused[] = [];
    let rest = changes;
    for (const { makeStep, batches } of this.#phases(changes)) {
      for (const batch of batches(rest)) {
        const failed = await this.#attempt(batch, { makeStep, onRefusal });
        refused.push(...failed);
        if (batch.length < rest.length) await this.#nft.breathe();
      }
      const culprits = new Set(refused.map(({ change }) => change));
      rest = rest.filter((change) => !culprits.has(change));
    }
    return { refused, staleChains: rest.flatMap(staleChains) };
  }

  /** One transaction. */
  async transact(commands: readonly Command[]): Promise<void> {
    if (commands.length === 0) return;
    const { bytes, processes } = await this.#nft.transact({ table: this.#table, commands });
    this.bytes += bytes;
    this.processes += processes;
    this.commands += commands.length;
  }

  #phases(changes: readonly PartChange[]) {
    const build: MakeStep = (batch) => ({ commands: this.#build(batch), done: () => {} });
    const place: MakeStep = (batch) => this.#place(batch);
    const tidy: MakeStep = (batch) => ({ commands: batch.flatMap(diffTidy), done: () => {} });
    const all: MakeStep = (batch) => {
      const { commands, done } = this.#place(batch);
      return { commands: [...this.#build(batch), ...commands, ...batch.flatMap(diffTidy)], done };
    };
    const { batchCommands } = this.#nft;
    if (changes.length === 1 || changes.reduce((sum, c) => sum + weight(c), 0) <= batchCommands) {
      return [{ makeStep: all, batches: inOne }];
    }
    const byCommands = (rest: readonly PartChange[]) => inBatches(rest, batchCommands);
    const byElements = (rest: readonly PartChange[]) => inBatches(rest, MAX_ELEMENTS);
    return [
      { makeStep: build, batches: byCommands },
      { makeStep: place, batches: byElements },
      { makeStep: tidy, batches: byCommands },
    ];
  }

  #build(batch: readonly PartChange[]): readonly Command[] {
    return batch.flatMap((change) => diffBuild(change, this.#table.family));
  }

  #place(batch: readonly PartChange[]): Step {
    const { commands, commit } = this.#claims.stage(
      batch.map(({ key, was, wish }) => ({
        owner: key,
        was: was.elements,
        wish: wish.elements,
      })),
    );
    return { commands, done: commit };
  }

  /** Tries the parts together, and by halves when they are refused. */
  async #attempt(
    batch: readonly PartChange[],
    how: { readonly makeStep: MakeStep; readonly onRefusal: "isolate" | "throw" },
  ): Promise<readonly Refused[]> {
    const { commands, done } = how.makeStep(batch);
    try {
      await this.transact(commands);
      done();
      this.#hasWritten ||= commands.length > 0;
      return [];
    } catch (error) {
      if (!isRefused(error) || how.onRefusal === "throw") throw error;
      const [only] = batch;
      if (batch.length > 1 || only === undefined) {
        const middle = batch.length >> 1;
        const first = await this.#attempt(batch.slice(0, middle), how);
        return [...first, ...await this.#attempt(batch.slice(middle), how)];
      }
      if (only.key === STATIC_KEY || this.#isHopeless()) throw error;
      return [{ change: only, error }];
    }
  }

  #isHopeless(): boolean {
    return ++this.#refusals > MAX_REFUSALS && !this.#hasWritten;
  }
}

/** The static part stands alone: everything else refers to it. */
function* inBatches(
  changes: readonly PartChange[],
  maxWeight: number,
): Generator<readonly PartChange[]> {
  let batch: PartChange[] = [];
  let size = 0;
  for (const change of changes) {
    const next = weight(change);
    if (batch.length > 0 && (size + next > maxWeight || batch[0]?.key === STATIC_KEY)) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(change);
    size += next;
  }
  if (batch.length > 0) yield batch;
}

function inOne(changes: readonly PartChange[]): Iterable<readonly PartChange[]> {
  return changes.length === 0 ? [] : [changes];
}

/** About how many commands a change takes. */
function weight({ was, wish }: PartChange): number {
  return was.chains.length + was.elements.length + was.sets.length +
    2 * wish.chains.length + wish.elements.length + wish.sets.length;
}
