/**
 * The iptables rules of one family: remembers what was written, reads the tables when it does not
 * know.
 *
 * @module
 */

import { RestoreError } from "../../kernel/iptables/errors.ts";
import type { Iptables } from "../../kernel/iptables/iptables.ts";
import type { TableMonitor } from "../../kernel/iptables/monitor.ts";
import { formatRestore } from "../../kernel/iptables/restore.ts";
import type { TableEdits } from "../../kernel/iptables/ruleset.ts";
import type { Logger } from "../../log.ts";
import { BanRefusedError, hasBans, withoutBans } from "./bans.ts";
import { diffObservedRules, diffRules } from "./rules.ts";
import type { Tally } from "./tally.ts";
import type { RuleWish } from "./wish.ts";

/** Writes rules. */
export class RuleWriter {
  readonly #iptables: Iptables;
  readonly #monitor: TableMonitor;
  readonly #log: Logger;
  /** What the tables hold; undefined: not known. */
  #applied: RuleWish | undefined;

  constructor(
    { iptables, monitor, log }: { iptables: Iptables; monitor: TableMonitor; log: Logger },
  ) {
    this.#iptables = iptables;
    this.#monitor = monitor;
    this.#log = log;
  }

  /** Forgets what the tables hold. */
  distrust(): void {
    this.#applied = undefined;
  }

  /**
   * Makes the tables match. Throws what kept it from that: a BanRefusedError when all but bans
   * could be written.
   */
  async write(wish: RuleWish, tally: Tally): Promise<void> {
    if (this.#monitor.hasChanged() === true) this.#applied = undefined;
    const edits = this.#applied === undefined
      ? diffObservedRules(await this.#read(tally), wish)
      : diffRules(this.#applied, wish);
    this.#applied = undefined;
    if (edits.length > 0) {
      await this.#restore(edits, tally).catch((error) => this.#retry(error, { wish, tally }));
    }
    this.#applied = wish;
  }

  /** Finds out whether bans are what was refused; if it was but a moment, all is written. */
  async #retry(error: unknown, { wish, tally }: { wish: RuleWish; tally: Tally }): Promise<void> {
    if (!(error instanceof RestoreError) || !hasBans(wish)) throw error;
    const observed = await this.#read(tally);
    const others = diffObservedRules(observed, withoutBans(wish, observed));
    if (others.length > 0) await this.#restore(others, tally).catch(() => Promise.reject(error));
    const bans = diffObservedRules(await this.#read(tally), wish);
    if (bans.length === 0) return;
    await this.#restore(bans, tally).catch((cause) => {
      throw cause instanceof RestoreError ? new BanRefusedError({ cause }) : cause;
    });
  }

  async #read(tally: Tally): ReturnType<Iptables["save"]> {
    tally.processes++;
    this.#monitor.markRead();
    return await this.#iptables.save();
  }

  async #restore(edits: readonly TableEdits[], tally: Tally): Promise<void> {
    const { text, bytes, tables } = formatRestore(edits);
    this.#log.v(9, "Restoring rules", () => ({ text }));
    tally.processes++;
    tally.bytesWritten += bytes;
    const write = this.#monitor.startWrite();
    try {
      await this.#iptables.restore(text);
    } catch (error) {
      write.end({ commits: undefined });
      throw error;
    }
    write.end({ commits: tables });
  }
}
