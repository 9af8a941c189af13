/**
 * The sets of one family in the kernel: remembers how full they are, writes what differs in one
 * process.
 *
 * @module
 */

import { conflictError, diffSets, type SetChange, widened } from "../../kernel/ipset/diff.ts";
import type { Ipset } from "../../kernel/ipset/ipset.ts";
import { formatRestore } from "../../kernel/ipset/restore.ts";
import type { ObservedSet } from "../../kernel/ipset/values.ts";
import type { IpFamily } from "../../model/ip.ts";
import type { EntryChange } from "./diff.ts";
import { kernelSetName, SET_NAMES, setHeader, type SetName } from "./sets.ts";
import type { FamilyState } from "./state.ts";
import type { Tally } from "./tally.ts";

interface Fill {
  count: number;
  readonly maxElements: number;
}

/** Writes sets. */
export class SetWriter {
  readonly #ipset: Ipset;
  readonly #family: IpFamily;
  #fills: Map<SetName, Fill> | undefined;
  /** Sets of our names that are something else: nothing is written to them. */
  #conflicts = new Set<SetName>();

  constructor(ipset: Ipset, family: IpFamily) {
    this.#ipset = ipset;
    this.#family = family;
  }

  /** What the kernel calls the sets of our names that are something else. */
  get conflicts(): ReadonlySet<string> {
    return new Set([...this.#conflicts].map((set) => this.#name(set)));
  }

  /** Whether the changes fit into the sets as they are; they must be compared anew otherwise. */
  fits(changes: readonly EntryChange[]): boolean {
    return changes.every(({ set, add, remove }) => {
      const fill = this.#fills?.get(set);
      return fill !== undefined &&
        fill.count + add.length - remove.length <= fill.maxElements * 0.9;
    });
  }

  /** Makes all sets what is wanted. Throws an ExecError; conflicts are noted. */
  async compare(wanted: FamilyState["sets"], tally: Tally): Promise<void> {
    this.#fills = undefined;
    tally.processes++;
    const observed = await this.#ipset.save(this.#family === "IPv4" ? "KUBE-" : "KUBE-6-");
    const desired = SET_NAMES.map((set) => ({
      header: setHeader(set, this.#family),
      entries: wanted.get(set) ?? new Set<string>(),
    }));
    const { changes, conflicts } = diffSets(observed, desired);
    this.#conflicts = new Set(
      SET_NAMES.filter((set) => conflicts.some(({ name }) => name === this.#name(set))),
    );
    tally.failures.push(...conflicts.map(conflictError));
    await this.#restore(changes, tally);
    this.#fills = new Map(SET_NAMES.map((set) => [set, this.#fill(set, { wanted, observed })]));
  }

  /** Writes changes of sets that are known. Throws an ExecError. */
  async change(changes: readonly EntryChange[], tally: Tally): Promise<void> {
    const writable = changes.filter(({ set }) => !this.#conflicts.has(set));
    await this.#restore(
      writable.map(({ set, add, remove }) => {
        return { header: setHeader(set, this.#family), kind: "update", add, remove };
      }),
      tally,
    );
    for (const { set, add, remove } of changes) {
      const fill = this.#fills?.get(set);
      if (fill !== undefined) fill.count += add.length - remove.length;
    }
  }

  async #restore(changes: readonly SetChange[], tally: Tally): Promise<void> {
    const text = formatRestore(changes);
    if (text === "") return;
    tally.processes++;
    tally.bytesWritten += text.length;
    await this.#ipset.restore(text);
  }

  #fill(
    set: SetName,
    { wanted, observed }: {
      wanted: FamilyState["sets"];
      observed: ReadonlyMap<string, ObservedSet>;
    },
  ): Fill {
    const count = wanted.get(set)?.size ?? 0;
    const header = widened(setHeader(set, this.#family), count);
    const wide = header.type === "bitmap:port" ? Infinity : header.maxElements;
    const found = observed.get(this.#name(set))?.maxElements ?? 0;
    return { count, maxElements: Math.max(wide, found) };
  }

  #name(set: SetName): string {
    return kernelSetName(set, this.#family);
  }
}
