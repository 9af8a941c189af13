/**
 * Services whose rules the kernel refuses. They keep the rules they had, if any, until they change
 * or somebody tries again; all others are programmed without them.
 *
 * @module
 */

import type { Quarantined } from "../contract.ts";
import type { Ruleset, ServiceRules } from "./ruleset.ts";

/** A service that was set aside. */
export interface Refused {
  /** What the kernel would not take; undefined: it would not let go of the service. */
  readonly rules: ServiceRules | undefined;
  readonly reason: string;
  /** The rules it had before were refused too, so it has none. */
  readonly isDropped: boolean;
}

/** Who is set aside, by ServicePortName.key. */
export class Quarantine {
  readonly #refused = new Map<string, Refused>();

  /** How many are set aside. */
  get size(): number {
    return this.#refused.size;
  }

  /** For the report. */
  list(): readonly Quarantined[] {
    return [...this.#refused].map(([key, { reason }]) => ({ key, reason }));
  }

  /** Sets a service aside; at the second time the rules it had before go as well. */
  add(key: string, refused: Omit<Refused, "isDropped">): void {
    this.#refused.set(key, { ...refused, isDropped: this.#refused.has(key) });
  }

  /** Lets services try again; all of them without argument. */
  release(keys: Iterable<string> = [...this.#refused.keys()]): void {
    for (const key of keys) this.#refused.delete(key);
  }

  /** Lets those try again that are not what was refused any more. */
  releaseChanged(wish: Ruleset): void {
    const changed = [...this.#refused].filter(([key, { rules }]) =>
      wish.services.get(key) !== rules
    );
    this.release(changed.map(([key]) => key));
  }

  /** The wish in which those set aside, and those of `held`, are what they were last. */
  holdBack(
    wish: Ruleset,
    { last, held }: { last: Ruleset | undefined; held: ReadonlySet<string> },
  ): Ruleset {
    if (this.#refused.size === 0 && held.size === 0) return wish;
    const services = new Map(wish.services);
    const hold = (key: string, before: ServiceRules | undefined) => {
      if (before === undefined) services.delete(key);
      else services.set(key, before);
    };
    for (const key of held) hold(key, last?.services.get(key));
    for (const [key, { rules, isDropped }] of this.#refused) {
      const before = last?.services.get(key);
      // What the kernel took once it need not take again: its modules may have changed.
      hold(key, isDropped || before === rules ? undefined : before);
    }
    return { ...wish, services };
  }
}
