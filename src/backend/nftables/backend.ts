/**
 * Mode nftables: one table per family, written by what changed (FACTS 1.10).
 *
 * The table is read at the start and whenever it is distrusted, never otherwise: a sync renders the
 * parts whose plans changed, as they were and as they should be, and writes the difference.
 *
 * @module
 */

import type { NftablesConfig } from "../../config/types.ts";
import { isRefused, type Nft, NftError } from "../../kernel/nft/nft.ts";
import type { TableName } from "../../kernel/nft/values.ts";
import type { Logger } from "../../log.ts";
import type { IpFamily } from "../../model/ip.ts";
import type { Plan, ServicePlan } from "../../model/plan.ts";
import { type Backend, type Mode, SyncError, type SyncReport } from "../contract.ts";
import { Applied, type Unusable } from "./applied.ts";
import { removeTables, TABLE_NAME } from "./cleanup.ts";
import { contextOf } from "./context.ts";
import { FOUND } from "./claims.ts";
import { NO_PART, type Part } from "./desired.ts";
import type { PartChange } from "./diff.ts";
import { observeTable } from "./observe.ts";
import { checkKernel, openNft } from "./preflight.ts";
import { Program } from "./program.ts";
import { StaleChains } from "./stale_chains.ts";

/** What a backend is made of. */
export interface NftablesOptions {
  readonly family: IpFamily;
  readonly nft: Nft;
  readonly config: NftablesConfig;
  readonly log: Logger;
}

/** A service that cannot be programmed, and the plan that it was tried with. */
interface Quarantine {
  readonly plan: ServicePlan | undefined;
  readonly reason: string;
}

/** A sync that reached the wish. */
interface Done {
  readonly applied: Applied;
  readonly report: SyncReport;
}

/** Programs the table of one family. */
export class NftablesBackend implements Backend {
  readonly #options: NftablesOptions;
  readonly #table: TableName;
  readonly #staleChains = new StaleChains();
  readonly #quarantine = new Map<string, Quarantine>();
  #applied: Applied | undefined;
  /** Counts how often the table was distrusted: what was read before that is worth nothing. */
  #distrusts = 0;
  #isFirst = true;

  constructor(options: NftablesOptions) {
    this.#options = options;
    this.#table = { family: options.family === "IPv4" ? "ip" : "ip6", name: TABLE_NAME };
  }

  async sync(plan: Plan): Promise<SyncReport> {
    const applied = this.#applied;
    const distrusts = this.#distrusts;
    this.#applied = undefined;
    try {
      const done = await this.#update(plan, applied) ?? await this.#verify(plan);
      // Somebody may have changed the table while we were at it.
      if (distrusts === this.#distrusts) this.#applied = done.applied;
      return done.report;
    } catch (error) {
      if (!(error instanceof NftError)) throw error;
      throw new SyncError("nftables", this.#options.family, [error]);
    }
  }

  distrust(): void {
    this.#distrusts++;
    this.#applied = undefined;
  }

  watch(onDrift: (what: string) => void, { signal }: { signal: AbortSignal }): Promise<void> {
    return this.#options.nft.watch(this.#table, { onChange: onDrift, signal });
  }

  close(): void {
    this.#options.nft.close();
  }

  /** Writes what changed since the last sync; undefined when the table must be read first. */
  async #update(plan: Plan, applied: Applied | undefined): Promise<Done | undefined> {
    if (applied === undefined || this.#isRetryDue(plan)) return undefined;
    const { family, config, log } = this.#options;
    const context = contextOf(plan, { config, previous: applied.context });
    const { parts, unusable } = applied.changes(plan, { context, except: this.#quarantine });
    const program = this.#program(applied);
    try {
      const { staleChains } = await program.write(parts, "throw");
      this.#staleChains.add(staleChains);
    } catch (error) {
      if (!isRefused(error)) throw error;
      log.warn("Cannot apply a change, looking for the cause", { family, error });
      return undefined;
    }
    this.#isolate(unusable, plan);
    applied.accept(plan, { context, changes: parts });
    return await this.#finish(applied, { program, changed: parts, full: false });
  }

  /** Reads the table and writes what differs from the wish, without what the kernel refuses. */
  async #verify(plan: Plan): Promise<Done> {
    const context = contextOf(plan, { config: this.#options.config, previous: undefined });
    const observation = await observeTable(plan, {
      context,
      nft: this.#options.nft,
      table: this.#table,
    });
    const { claims, parts } = observation;
    const applied = new Applied({ context, claims });
    const program = this.#program(applied);
    this.#quarantine.clear();
    this.#staleChains.forget();
    await program.transact(observation.setUp);
    const { refused } = await program.write(parts, "isolate");
    for (const { change } of refused) claims.keepFound(change.key, change.wish.elements);
    const reasons = refused.map(({ change, error }) => ({
      key: change.key,
      reason: error.message,
    }));
    this.#isolate([...observation.unusable, ...reasons], plan);
    const culprits = new Set(refused.map(({ change }) => change));
    const written = parts.filter((change) => !culprits.has(change));
    await this.#remove({ ...observation.strays, elements: claims.unclaimed() }, program);
    applied.accept(plan, { context, changes: written });
    this.#logRepair(program);
    return await this.#finish(applied, { program, changed: written.filter(isChanged), full: true });
  }

  async #remove(strays: Part, program: Program): Promise<void> {
    const change = (was: Part): PartChange => ({ key: FOUND, was, wish: NO_PART });
    const { sets, ...others } = strays;
    // A rule of somebody else may keep a set from going, and must not keep anything else.
    const changes = [{ ...others, sets: [] }, ...sets.map((set) => ({ ...NO_PART, sets: [set] }))];
    const { refused, staleChains } = await program.write(changes.map(change), "isolate");
    this.#staleChains.add(staleChains);
    const { family, log } = this.#options;
    for (const { error } of refused) {
      log.warn("Cannot remove what is not wanted", { family, error });
    }
  }

  async #finish(
    applied: Applied,
    { program, changed, full }: {
      readonly program: Program;
      readonly changed: readonly PartChange[];
      readonly full: boolean;
    },
  ): Promise<Done> {
    this.#staleChains.keep(changed.flatMap(({ wish }) => wish.chains.map(({ name }) => name)));
    const retryMs = await this.#staleChains.delete(program);
    const report = {
      full,
      servicesChanged: changed.length,
      bytesWritten: program.bytes,
      processes: program.processes,
      quarantined: [...this.#quarantine].map(([key, { reason }]) => ({ key, reason })),
      ...(retryMs !== undefined && { resyncAfterMs: retryMs }),
    };
    return { applied, report };
  }

  #program({ claims }: Applied): Program {
    return new Program({ nft: this.#options.nft, table: this.#table, claims });
  }

  /** What the kernel did not take is tried again when it is something else. */
  #isRetryDue(plan: Plan): boolean {
    return [...this.#quarantine].some(([key, tried]) => plan.services.get(key) !== tried.plan);
  }

  /** The shell tells of them. */
  #isolate(unusable: readonly Unusable[], plan: Plan): void {
    for (const { key, reason } of unusable) {
      this.#quarantine.set(key, { plan: plan.services.get(key), reason });
    }
  }

  #logRepair({ commands }: Program): void {
    const { family, log } = this.#options;
    if (!this.#isFirst && commands > 0) log.info("Repaired nftables rules", { family, commands });
    this.#isFirst = false;
  }
}

function isChanged({ was, wish }: PartChange): boolean {
  return wish.chains.some((chain) => !was.chains.includes(chain));
}

/** Mode nftables. */
export const NFTABLES: Mode = {
  name: "nftables",

  async open({ family, config, log }) {
    checkKernel();
    const nft = await openNft(config.vipd.nftables.writer, { log });
    return new NftablesBackend({ family, nft, config: config.nftables, log });
  },

  async cleanup({ config, log }) {
    let nft: Nft;
    try {
      nft = await openNft(config.vipd.nftables.writer, { log });
    } catch (error) {
      if (error instanceof NftError && error.errno === "EPERM") return [error];
      // Where nothing can be written, nothing was.
      log.v(2, "Cannot look for nftables rules", { error });
      return [];
    }
    try {
      return await removeTables(nft);
    } finally {
      nft.close();
    }
  },
};
