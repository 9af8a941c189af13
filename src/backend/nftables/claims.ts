/**
 * Who wants which element. Two ServicePorts may ask for the same one: an external IP and port, an
 * endpoint of two services, the ClusterIP of two ports. The API does not forbid it, the kernel knows
 * each key once. The first by name gets it, whatever the order of events was.
 *
 * @module
 */

import { formatVerdict } from "../../kernel/nft/print.ts";
import { type Command, type Element, elementKey } from "../../kernel/nft/values.ts";
import type { Placed } from "./desired.ts";

/** Owner of elements that were found in the kernel; anybody comes before it. */
export const FOUND = "\uffff";

/** An owner wants other elements than before. */
export interface ClaimChange {
  readonly owner: string;
  readonly was: readonly Placed[];
  readonly wish: readonly Placed[];
}

/** Changes that are thought through but not made. */
export interface StagedClaims {
  /** What the kernel must do, deletions first. */
  readonly commands: readonly Command[];
  /** To be called when the kernel has done it. */
  readonly commit: () => void;
}

interface Claimant {
  readonly owner: string;
  readonly placed: Placed;
}

/** The claimants of each element; the first one's is in the kernel. */
export class Claims {
  readonly #claimants = new Map<string, readonly Claimant[]>();

  /** Claims of elements that are in the kernel, for nobody. */
  static found(placed: Iterable<Placed>): Claims {
    const claims = new Claims();
    for (const one of placed) {
      claims.#claimants.set(keyOf(one), [{ owner: FOUND, placed: one }]);
    }
    return claims;
  }

  /** Works out what changes mean; nothing is changed yet. */
  stage(changes: readonly ClaimChange[]): StagedClaims {
    const staged = new Map<string, readonly Claimant[]>();
    const claimantsOf = (key: string) => staged.get(key) ?? this.#claimants.get(key) ?? [];
    for (const { owner, was } of changes) {
      for (const placed of was) {
        const key = keyOf(placed);
        staged.set(key, claimantsOf(key).filter((claimant) => claimant.owner !== owner));
      }
    }
    for (const { owner, wish } of changes) {
      for (const placed of wish) {
        const key = keyOf(placed);
        staged.set(key, withClaimant(claimantsOf(key), { owner, placed }));
      }
    }
    return { commands: this.#commands(staged), commit: () => this.#commit(staged) };
  }

  /** Elements that were found and that nobody wants. */
  unclaimed(): readonly Placed[] {
    return [...this.#claimants.values()].flatMap(([first]) =>
      first?.owner === FOUND ? [first.placed] : []
    );
  }

  /** What was found at the places of these elements is the owner's from now on. */
  keepFound(owner: string, places: readonly Placed[]): void {
    for (const key of places.map(keyOf)) {
      const [first] = this.#claimants.get(key) ?? [];
      if (first?.owner === FOUND) this.#claimants.set(key, [{ owner, placed: first.placed }]);
    }
  }

  #commands(staged: ReadonlyMap<string, readonly Claimant[]>): readonly Command[] {
    const deletions: Command[] = [];
    const additions: Command[] = [];
    for (const [key, [after]] of staged) {
      const [before] = this.#claimants.get(key) ?? [];
      if (before !== undefined && after !== undefined && isSame(before.placed, after.placed)) {
        continue;
      }
      if (before !== undefined) deletions.push({ op: "delete-element", ...before.placed });
      if (after !== undefined) additions.push({ op: "add-element", ...after.placed });
    }
    return [...deletions, ...additions];
  }

  #commit(staged: ReadonlyMap<string, readonly Claimant[]>): void {
    for (const [key, claimants] of staged) {
      if (claimants.length === 0) this.#claimants.delete(key);
      else this.#claimants.set(key, claimants);
    }
  }
}

function withClaimant(claimants: readonly Claimant[], claimant: Claimant): readonly Claimant[] {
  if (claimants.some(({ owner }) => owner === claimant.owner)) return claimants;
  // What was found is replaced or kept by whoever claims it; nobody asks for it a second time.
  const others = claimants.filter(({ owner }) => owner !== FOUND);
  if (others.length === 0) return [claimant];
  return [...others, claimant].sort((a, b) => a.owner < b.owner ? -1 : 1);
}

function keyOf({ set, element }: Placed): string {
  return `${set.name} ${elementKey(element)}`;
}

/** Remarks do not count: kube-proxy leaves an element alone that differs in its remark only. */
function isSame(a: Placed, b: Placed): boolean {
  return a === b || valueOf(a.element) === valueOf(b.element);
}

function valueOf({ verdict }: Element): string {
  return verdict === undefined ? "" : formatVerdict(verdict);
}
