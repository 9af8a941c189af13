/**
 * Random numbers that can be had again: the same seed gives the same numbers. For properties, which
 * print their seed when they fail.
 *
 * @module
 */

/** A source of random choices (mulberry32: 32 bits of state, good enough to shuffle tests). */
export class Random {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 <= number < 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** 0 <= integer < limit. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  /** True in `part` of all cases, 0 to 1. */
  chance(part: number): boolean {
    return this.fraction() < part;
  }

  /** One of the values, which are at least one. */
  pick<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new RangeError("Nothing to pick from");
    return value;
  }

  /** The values in another order. */
  shuffle<T>(values: readonly T[]): T[] {
    return values
      .map((value) => ({ value, order: this.fraction() }))
      .sort((a, b) => a.order - b.order)
      .map(({ value }) => value);
  }
}

/** What a property is tried with. */
export interface TryOptions {
  /** How many seeds. */
  readonly times: number;
}

/**
 * Tries a property with many seeds; a failure names its seed. `deno test FILE -- --seed=N` tries
 * that one only.
 */
export function tryProperty(property: (random: Random) => void, options: TryOptions): void {
  const given = Deno.args.find((arg) => arg.startsWith("--seed="))?.slice("--seed=".length);
  const first = given === undefined ? Date.now() % 2 ** 31 : Number(given);
  const times = given === undefined ? options.times : 1;
  for (let seed = first; seed < first + times; seed++) {
    try {
      property(new Random(seed));
    } catch (error) {
      throw new Error(`Property does not hold, try again with -- --seed=${seed}`, {
        cause: error,
      });
    }
  }
}
