/**
 * Chains that are empty and unwanted, until the kernel lets go of them. Kernels before 6.2 count a
 * reference from a map that is gone already for a while, and refuse to delete the chain.
 *
 * @module
 */

import { isNotFound, isRefused } from "../../kernel/nft/nft.ts";
import type { Program } from "./program.ts";

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;

/** Names of chains to delete. */
export class StaleChains {
  #names = new Set<string>();
  #retryMs = FIRST_RETRY_MS;

  /** These are empty now. */
  add(names: Iterable<string>): void {
    for (const name of names) this.#names.add(name);
  }

  /** These are wanted again. */
  keep(names: Iterable<string>): void {
    for (const name of names) this.#names.delete(name);
  }

  /** Only what is added from now on. */
  forget(): void {
    this.#names.clear();
  }

  /** Deletes what can be deleted. Returns when to try again; undefined when nothing is left. */
  async delete(program: Program): Promise<number | undefined> {
    const kept = await deleteAll([...this.#names], program);
    this.#names = new Set(kept);
    if (kept.length === 0) {
      this.#retryMs = FIRST_RETRY_MS;
      return undefined;
    }
    const retryMs = this.#retryMs;
    this.#retryMs = Math.min(2 * retryMs, LAST_RETRY_MS);
    return retryMs;
  }
}

const MAX_BATCH = 1_000;

/** Returns those that the kernel did not let go of. */
async function deleteAll(names: readonly string[], program: Program): Promise<readonly string[]> {
  if (names.length === 0) return [];
  if (names.length > MAX_BATCH) return await deleteHalves(names, program);
  try {
    await program.transact(names.map((chain) => ({ op: "delete-chain", chain })));
    return [];
  } catch (error) {
    if (!isRefused(error)) throw error;
    if (names.length > 1) return await deleteHalves(names, program);
    return isNotFound(error) ? [] : names;
  }
}

async function deleteHalves(
  names: readonly string[],
  program: Program,
): Promise<readonly string[]> {
  const middle = names.length >> 1;
  const kept = await deleteAll(names.slice(0, middle), program);
  return [...kept, ...await deleteAll(names.slice(middle), program)];
}
