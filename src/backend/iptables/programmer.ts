/**
 * Brings the tables of one family to a wish: keeps in mind what it wrote, reads the kernel when it
 * does not know, and when the kernel refuses something finds out whose it is and goes on without.
 *
 * @module
 */

import { LockBusyError, RestoreError } from "../../kernel/iptables/errors.ts";
import type { Iptables } from "../../kernel/iptables/iptables.ts";
import type { TableMonitor } from "../../kernel/iptables/monitor.ts";
import type { RestoreText } from "../../kernel/iptables/restore.ts";
import type { Logger } from "../../log.ts";
import { type Changes, isEmpty, restoresOf, type RuleCounts, touchedChains } from "./changes.ts";
import { type Applied, diffRulesets } from "./diff.ts";
import { diffObserved } from "./observed.ts";
import { Quarantine } from "./quarantine.ts";
import type { Ruleset } from "./ruleset.ts";
import { countRestore, newTally, type Tally } from "./tally.ts";

/**
 * Lines of one restore. iptables-nft-restore is quadratic: 115,000 lines take 46 s at once and 3 s
 * in parts of 2,300 to 5,700 lines. Every restore of legacy costs the whole table, so there is one.
 */
const MAX_LINES = { "nf_tables": 4000, legacy: Infinity };

/** Attempts of one sync at finding out what the kernel refuses; the next sync goes on. */
const MAX_ATTEMPTS = 64;

/** Names of chains in one log line. */
const LOGGED_CHAINS = 20;

/** What a programmer works with. */
export interface ProgrammerOptions {
  readonly iptables: Iptables;
  readonly monitor: TableMonitor;
  readonly log: Logger;
}

/** What one call of {@linkcode Programmer.program} did. */
export interface Programmed {
  readonly tally: Tally;
  /** Rules of ours in the tables now. */
  readonly owned: RuleCounts;
}

/** A restore that the tool or the kernel refused. */
interface Refusal {
  readonly error: RestoreError;
  readonly restore: RestoreText;
}

/** Writes rules of one family. Calls must not overlap. */
export class Programmer {
  readonly quarantine = new Quarantine();
  readonly #iptables: Iptables;
  readonly #monitor: TableMonitor;
  readonly #log: Logger;
  /** What the tables hold; undefined: not known. */
  #applied: Applied | undefined;
  #last: Ruleset | undefined;
  #lockTimeouts = 0;
  /** The last restore failed, so what differs need not be the work of others. */
  #hasFailed = false;

  constructor(options: ProgrammerOptions) {
    this.#iptables = options.iptables;
    this.#monitor = options.monitor;
    this.#log = options.log;
  }

  /** Rules of ours in the tables; undefined: not known. */
  get owned(): RuleCounts | undefined {
    return this.#applied?.owned;
  }

  /** What was written last, whether it is still there or not; undefined: nothing yet. */
  get last(): Ruleset | undefined {
    return this.#last;
  }

  /** How often the lock was not to be had since this was asked last. */
  takeLockTimeouts(): number {
    const count = this.#lockTimeouts;
    this.#lockTimeouts = 0;
    return count;
  }

  /** Forgets what the tables hold. */
  distrust(): void {
    this.#applied = undefined;
    this.quarantine.release();
  }

  /**
   * Makes the tables match `wish`, except for services that the kernel refuses.
   * Throws what kept it from that.
   */
  async program(wish: Ruleset): Promise<Programmed> {
    const tally = newTally();
    const tentative = new Map<string, RestoreError>();
    this.quarantine.releaseChanged(wish);
    const retried = this.#isQuiet(wish) ? this.quarantine.list().map(({ key }) => key) : [];
    this.quarantine.release(retried);
    await this.#settle(wish, { held: new Set(), tally, tentative });
    const [failure] = tentative.values();
    const isOldNews = [...tentative.keys()].every((key) => retried.includes(key));
    if (failure !== undefined && tally.restores === 0 && !isOldNews) {
      // Nothing at all could be written, so it is hardly the fault of single services.
      this.quarantine.release(tentative.keys());
      throw failure;
    }
    return { tally, owned: this.#applied?.owned ?? { filter: 0, nat: 0 } };
  }

  /** Whether only those set aside are not as wanted: a good time to try them again. */
  #isQuiet(wish: Ruleset): boolean {
    if (this.quarantine.size === 0 || this.#applied === undefined) return false;
    const target = this.quarantine.holdBack(wish, { last: this.#last, held: new Set() });
    return isEmpty(diffRulesets(this.#applied, target));
  }

  async #settle(
    wish: Ruleset,
    context: {
      readonly held: ReadonlySet<string>;
      readonly tally: Tally;
      /** Services set aside though the kernel did not name them. */
      readonly tentative: Map<string, RestoreError>;
    },
  ): Promise<void> {
    const { held, tally, tentative } = context;
    for (;;) {
      const target = this.quarantine.holdBack(wish, { last: this.#last, held });
      const refusal = await this.#attempt(target, tally);
      if (refusal === undefined) return;
      const { named, suspects } = this.#blame(refusal, target);
      const [first] = suspects;
      if (tally.attempts >= MAX_ATTEMPTS) throw refusal.error;
      if (named.length > 0) {
        for (const key of named) this.#setAside(key, { wish, error: refusal.error });
      } else if (first === undefined) {
        throw refusal.error;
      } else if (suspects.length === 1) {
        tentative.set(first, refusal.error);
        this.#setAside(first, { wish, error: refusal.error });
      } else {
        const half = suspects.slice(suspects.length / 2);
        await this.#settle(wish, { ...context, held: new Set([...held, ...half]) });
      }
    }
  }

  /** Writes what is missing of `target`. Returns what was refused. */
  async #attempt(target: Ruleset, tally: Tally): Promise<Refusal | undefined> {
    tally.attempts++;
    const known = this.#applied;
    const changes = known === undefined
      ? await this.#compare(target, tally)
      : diffRulesets(known, target);
    if (!isEmpty(changes)) {
      this.#applied = undefined;
      const refusal = await this.#write(changes, { known, tally });
      if (refusal !== undefined) return refusal;
    }
    this.#applied = { ruleset: target, owned: changes.owned };
    this.#last = target;
    this.#hasFailed = false;
    return undefined;
  }

  async #write(
    changes: Changes,
    { known, tally }: { known: Applied | undefined; tally: Tally },
  ): Promise<Refusal | undefined> {
    const maxLines = MAX_LINES[this.#iptables.version.variant];
    let isFirst = true;
    for (const restore of restoresOf(changes, { maxLines })) {
      this.#log.v(9, "Restoring rules", () => ({ text: restore.text }));
      tally.processes++;
      tally.bytesWritten += restore.bytes;
      const write = this.#monitor.startWrite();
      try {
        await this.#iptables.restore(restore.text);
      } catch (error) {
        // Without the lock the tool did not even start, so we still know what is there.
        const isUntouched = error instanceof LockBusyError;
        if (isUntouched) this.#lockTimeouts++;
        write.end({ commits: isUntouched ? 0 : undefined });
        if (isUntouched && isFirst) this.#applied = known;
        else this.#hasFailed = true;
        if (!(error instanceof RestoreError)) throw error;
        return { error, restore };
      }
      write.end({ commits: restore.tables });
      countRestore(tally, restore);
      isFirst = false;
    }
    return undefined;
  }

  async #compare(target: Ruleset, tally: Tally): Promise<Changes> {
    tally.processes++;
    tally.full = true;
    this.#monitor.markRead();
    const observed = await this.#iptables.save();
    const changes = diffObserved(observed, target, { rewrite: this.#hasFailed });
    if (changes.referenced.length > 0) {
      this.#log.warn("Stale chains stay, rules of others lead to them", {
        family: this.#iptables.family,
        chains: changes.referenced.slice(0, LOGGED_CHAINS),
      });
    }
    if (this.#last !== undefined && !this.#hasFailed) this.#logDrift(changes, target);
    return changes;
  }

  /** Says what others did to chains of ours, apart from what changes anyway. */
  #logDrift(changes: Changes, target: Ruleset): void {
    if (this.#last === undefined || isEmpty(changes)) return;
    const last = { ruleset: this.#last, owned: { filter: 0, nat: 0 } };
    const expected = touchedChains(diffRulesets(last, target));
    const chains = [...touchedChains(changes)].filter((chain) => !expected.has(chain));
    if (chains.length === 0) return;
    this.#log.info("Repairing rules that others changed", {
      family: this.#iptables.family,
      count: chains.length,
      chains: chains.slice(0, LOGGED_CHAINS),
    });
  }

  /**
   * Whose rules were refused: named by line, or suspected because they change and were in the same
   * restore. Nobody when a line was named that belongs to nobody.
   */
  #blame(
    { error, restore }: Refusal,
    target: Ruleset,
  ): { named: readonly string[]; suspects: readonly string[] } {
    const named = error.lines.map(restore.ownerOfLine).filter((owner) => owner !== undefined);
    const isNobodys = named.length === 0 && error.lines.length > 0 &&
      !error.lines.some((line) => restore.commitLines.has(line));
    if (isNobodys) return { named: [], suspects: [] };
    const suspects = restore.owners.filter((key) =>
      target.services.get(key) !== this.#last?.services.get(key)
    );
    return { named: [...new Set(named)], suspects };
  }

  #setAside(key: string, { wish, error }: { wish: Ruleset; error: RestoreError }): void {
    this.quarantine.add(key, { rules: wish.services.get(key), reason: error.message });
    this.#log.warn("Setting a service aside, the kernel refuses its rules", {
      family: this.#iptables.family,
      service: key,
      error,
    });
  }
}
