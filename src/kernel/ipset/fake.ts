/**
 * An {@linkcode Ipset} and a {@linkcode SetList} in memory. contract.ts holds it, the real tool and
 * the kernel to the same behaviour.
 *
 * @module
 */

import { ExecError } from "../exec/run.ts";
import type { Ipset } from "./ipset.ts";
import type { ListedSet, ListOptions, SetList } from "./list.ts";
import { parseSave } from "./save.ts";
import type { ObservedSet } from "./values.ts";

type FakeSet = ObservedSet & { readonly entries: Set<string> };

/** Sets in memory, for the tool and for looking. Sets named by `inUse` cannot be destroyed. */
export class FakeIpset implements Ipset, SetList {
  readonly sets = new Map<string, FakeSet>();
  readonly inUse = new Set<string>();
  /** Every text that was restored. */
  readonly restored: string[] = [];

  [Symbol.dispose](): void {}

  list({ isWanted, what }: ListOptions): ReadonlyMap<string, ListedSet> {
    const listed = [...this.sets.values()].filter(({ name }) => isWanted(name));
    return new Map(listed.map(({ name, type, entries }) => {
      const found = what === "entries" ? new Set(entries) : undefined;
      return [name, { type, count: entries.size, entries: found }];
    }));
  }

  version(): Promise<string> {
    return Promise.resolve("7.17");
  }

  save(prefix: string): Promise<ReadonlyMap<string, ObservedSet>> {
    const wanted = [...this.sets].filter(([name]) => name.startsWith(prefix));
    return Promise.resolve(
      new Map(wanted.map(([name, set]) => [name, { ...set, entries: new Set(set.entries) }])),
    );
  }

  restore(lines: string): Promise<void> {
    this.restored.push(lines);
    for (const [i, line] of lines.split("\n").entries()) {
      const problem = line === "" ? undefined : this.#apply(line);
      if (problem !== undefined) {
        return Promise.reject(failure(`Error in line ${i + 1}: ${problem}`));
      }
    }
    return Promise.resolve();
  }

  #apply(line: string): string | undefined {
    const [verb = "", name = "", value = ""] = line.split(" ");
    if (verb === "create") return this.#create(line);
    const set = this.sets.get(name);
    if (set === undefined) return "The set with the given name does not exist";
    if (verb === "add") return add(set, value);
    if (verb === "del") set.entries.delete(value);
    else if (verb === "swap") return this.#swap(set, value);
    else if (verb === "destroy") return this.#destroy(name);
    else return `Unknown command ${verb}`;
    return undefined;
  }

  #create(line: string): string | undefined {
    for (const [name, header] of parseSave(line, () => true)) {
      const old = this.sets.get(name);
      const same = old?.type === header.type && old.family === header.family &&
        old.maxElements === header.maxElements;
      if (old !== undefined && !same) {
        return "Set cannot be created: set with the same name already exists";
      }
      if (old === undefined) this.sets.set(name, { ...header, entries: new Set() });
    }
    return undefined;
  }

  #swap(a: FakeSet, other: string): string | undefined {
    const b = this.sets.get(other);
    if (b === undefined) return "Sets cannot be swapped: the second set does not exist";
    if (a.type !== b.type || a.family !== b.family) {
      return "The sets cannot be swapped: their type does not match";
    }
    this.sets.set(a.name, { ...b, name: a.name });
    this.sets.set(b.name, { ...a, name: b.name });
    return undefined;
  }

  #destroy(name: string): string | undefined {
    if (this.inUse.has(name)) {
      return "Set cannot be destroyed: it is in use by a kernel component";
    }
    this.sets.delete(name);
    return undefined;
  }
}

function add(set: FakeSet, entry: string): string | undefined {
  if (set.entries.size >= set.maxElements && !set.entries.has(entry)) {
    return "Hash is full, cannot add more elements";
  }
  set.entries.add(entry);
  return undefined;
}

function failure(stderr: string): ExecError {
  return new ExecError("ipset restore -exist", { failure: "exit", code: 1, stderr });
}
