/**
 * Telling our own commits from those of others in the output of `nft monitor`:
 *
 *   add element ip kube-proxy service-ips { 10.0.0.1 . tcp . 80 : drop }
 *   # new generation 6 by process 10355 (nft)
 *
 * The process id there is that of the host's namespace, so it cannot be compared; commits are
 * counted instead. Every commit of ours shows up at most once: what shows up more is another's.
 *
 * @module
 */

import type { TableName } from "./values.ts";

/** Counts commits that touched one table. */
export class Generations {
  readonly #mention: RegExp;
  #isTouched = false;
  #seen = 0;
  #own = 0;
  /** Own commits of the period before, which the monitor may not have told of yet. */
  #ownBefore = 0;
  #last = "";
  #example = "";

  constructor({ family, name }: TableName) {
    const escaped = name.replace(/[^A-Za-z0-9]/g, "\\$&");
    this.#mention = new RegExp(`^\\w+ [\\w-]+ ${family} ${escaped}( |$)`);
  }

  /** One line of `nft monitor`. */
  note(line: string): void {
    if (this.#mention.test(line)) {
      this.#isTouched = true;
      this.#last = line;
    } else if (line.startsWith("# new generation") && this.#isTouched) {
      this.#isTouched = false;
      this.#seen++;
      this.#example = `${this.#last} (${line.replace(/^# new generation \d+ /, "")})`;
    }
  }

  /** A transaction of ours was committed. */
  noteOwn(): void {
    this.#own++;
  }

  /**
   * To be asked when no transaction of ours is on its way: what another program did since the last
   * time, or undefined.
   */
  settle(): string | undefined {
    const unseen = this.#own + this.#ownBefore - this.#seen;
    const isForeign = unseen < 0;
    this.#ownBefore = Math.min(this.#own, Math.max(0, unseen));
    this.#seen = 0;
    this.#own = 0;
    return isForeign ? this.#example : undefined;
  }
}
