import { deepStrictEqual } from "node:assert/strict";
import { Random } from "../../../test/support/random.ts";
import { changedKeys } from "./changed_keys.ts";

function slowly(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>) {
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((key) => before.has(key) !== after.has(key) || before.get(key) !== after.get(key))
    .sort();
}

Deno.test("changedKeys() finds what a slow comparison finds, in any order of keys", () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = new Random(seed);
    const keys = Array.from({ length: 30 }, (_, i) => i);
    const before = new Map(keys.filter(() => random.chance(0.7)).map((key) => [key, 0]));
    let after = new Map(before);
    for (let i = random.below(8); i > 0; i--) {
      const key = random.below(30);
      if (random.chance(0.4)) after.delete(key);
      else after.set(key, random.below(2));
    }
    if (random.chance(0.3)) after = new Map(random.shuffle([...after]));
    deepStrictEqual([...changedKeys(before, after)].sort(), slowly(before, after), `seed ${seed}`);
  }
});
