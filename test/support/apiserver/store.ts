/**
 * The objects, one version counter for all of them, and the recent history that watches resume
 * from. Mirrors what clients can see of etcd and the watch cache: the version of a list is that of
 * the whole store, versions before a compaction are gone.
 *
 * Every entry keeps its JSON, so lists and watch events cost no serialising.
 *
 * @module
 */

import { isObject, type JsonObject } from "./json.ts";
import type { Resource } from "./resources.ts";

/** One version of one object. Never changed. */
export interface Entry {
  /** `namespace/name`, or the name when cluster-wide. */
  readonly key: string;
  readonly namespace: string;
  readonly version: number;
  /** Without apiVersion and kind, as items of a typed list are. */
  readonly object: JsonObject;
  readonly json: string;
}

/** What happened to an object. */
export interface StoreEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly version: number;
  /** The new state; for DELETED the last one, with the version of the deletion. */
  readonly entry: Entry;
  readonly previous: Entry | undefined;
}

interface Shelf {
  readonly entries: Map<string, Entry>;
  /** Keys in order; undefined after a key came or went. */
  sortedKeys: string[] | undefined;
  history: StoreEvent[];
  /** Watches and lists of older versions are refused. */
  compactedVersion: number;
  readonly listeners: Set<(event: StoreEvent) => void>;
  /** Pages of lists that are being read, by version. */
  readonly snapshots: Map<number, readonly Entry[]>;
}

/** How much of the past is kept. */
export interface StoreOptions {
  /** Events per resource that a watch can resume over. */
  readonly historyLimit: number;
  /** Version counter before the first write. */
  readonly firstVersion: number;
}

/** Objects by resource. Synchronous: a read sees one moment. */
export class Store {
  #version: number;
  readonly #shelves = new Map<Resource, Shelf>();
  readonly #historyLimit: number;

  constructor(options: StoreOptions) {
    this.#version = options.firstVersion;
    this.#historyLimit = options.historyLimit;
  }

  /** Version of the last write to anything. */
  get version(): number {
    return this.#version;
  }

  /** The object, or undefined. */
  get(resource: Resource, key: string): Entry | undefined {
    return this.#shelf(resource).entries.get(key);
  }

  /** All objects of a resource in key order. */
  list(resource: Resource): readonly Entry[] {
    const shelf = this.#shelf(resource);
    shelf.sortedKeys ??= [...shelf.entries.keys()].sort();
    return shelf.sortedKeys.flatMap((key) => shelf.entries.get(key) ?? []);
  }

  /** How many objects a resource has. */
  count(resource: Resource): number {
    return this.#shelf(resource).entries.size;
  }

  /**
   * Stores an object and tells the watches. `wantedVersion` is used when it lies ahead of the
   * counter, so that captured objects keep the version they came with.
   */
  put(
    resource: Resource,
    { object, wantedVersion = 0 }: { object: JsonObject; wantedVersion?: number },
  ): Entry {
    const shelf = this.#shelf(resource);
    const version = this.#nextVersion(wantedVersion);
    const entry = makeEntry(resource, { object, version });
    const previous = shelf.entries.get(entry.key);
    if (!previous) shelf.sortedKeys = undefined;
    shelf.entries.set(entry.key, entry);
    this.#tell(shelf, { type: previous ? "MODIFIED" : "ADDED", version, entry, previous });
    return entry;
  }

  /** Removes an object and tells the watches; undefined when there was none. */
  delete(resource: Resource, key: string): Entry | undefined {
    const shelf = this.#shelf(resource);
    const previous = shelf.entries.get(key);
    if (!previous) return undefined;
    const version = this.#nextVersion(0);
    shelf.entries.delete(key);
    shelf.sortedKeys = undefined;
    const entry = makeEntry(resource, { object: previous.object, version });
    this.#tell(shelf, { type: "DELETED", version, entry, previous });
    return entry;
  }

  /** Calls `listener` after each later event, synchronously. Returns how to stop it. */
  subscribe(resource: Resource, listener: (event: StoreEvent) => void): () => void {
    const { listeners } = this.#shelf(resource);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Events after a version, oldest first; undefined when that version is compacted away. */
  eventsSince(resource: Resource, version: number): readonly StoreEvent[] | undefined {
    const shelf = this.#shelf(resource);
    if (version < shelf.compactedVersion) return undefined;
    return shelf.history.filter((event) => event.version > version);
  }

  /** Keeps the present as the snapshot that further pages are read from. */
  saveSnapshot(resource: Resource, entries: readonly Entry[]): void {
    const { snapshots } = this.#shelf(resource);
    snapshots.set(this.#version, entries);
    const [oldest] = snapshots.keys();
    if (snapshots.size > MAX_SNAPSHOTS && oldest !== undefined) snapshots.delete(oldest);
  }

  /** The snapshot of a version; undefined when it is forgotten. */
  snapshot(resource: Resource, version: number): readonly Entry[] | undefined {
    return this.#shelf(resource).snapshots.get(version);
  }

  /** Forgets history and snapshots up to now, for one resource or all. */
  compact(resources: Iterable<Resource> = this.#shelves.keys()): void {
    for (const resource of resources) {
      const shelf = this.#shelf(resource);
      shelf.history = [];
      shelf.snapshots.clear();
      shelf.compactedVersion = this.#version;
    }
  }

  /** Moves the counter on without an event, as writes to other resources do. */
  skipVersions(count: number): void {
    this.#version += count;
  }

  #nextVersion(wanted: number): number {
    this.#version = wanted > this.#version ? wanted : this.#version + 1;
    return this.#version;
  }

  #tell(shelf: Shelf, event: StoreEvent): void {
    shelf.history.push(event);
    // Trimming in big steps keeps the cost per event constant.
    if (shelf.history.length > 2 * this.#historyLimit) {
      const dropped = shelf.history.splice(0, this.#historyLimit);
      shelf.compactedVersion = dropped.at(-1)?.version ?? shelf.compactedVersion;
    }
    for (const listener of shelf.listeners) listener(event);
  }

  #shelf(resource: Resource): Shelf {
    let shelf = this.#shelves.get(resource);
    if (!shelf) {
      shelf = {
        entries: new Map(),
        sortedKeys: undefined,
        history: [],
        compactedVersion: 0,
        listeners: new Set(),
        snapshots: new Map(),
      };
      this.#shelves.set(resource, shelf);
    }
    return shelf;
  }
}

const MAX_SNAPSHOTS = 64;

/** `namespace/name`, or the name when cluster-wide. */
export function keyOf(resource: Resource, where: { namespace: string; name: string }): string {
  return resource.isNamespaced ? `${where.namespace}/${where.name}` : where.name;
}

function makeEntry(
  resource: Resource,
  { object, version }: { object: JsonObject; version: number },
): Entry {
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = object;
  const meta: JsonObject = isObject(metadata) ? { ...metadata } : {};
  meta["resourceVersion"] = String(version);
  const stamped: JsonObject = { metadata: meta, ...rest };
  const namespace = String(meta["namespace"] ?? "");
  return {
    key: keyOf(resource, { namespace, name: String(meta["name"] ?? "") }),
    namespace,
    version,
    object: stamped,
    json: JSON.stringify(stamped),
  };
}
