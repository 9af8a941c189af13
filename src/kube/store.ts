/**
 * The objects as last seen: what the sources (API server or manifests) write and what plans read.
 *
 * An object whose decoded content did not change stays the same object, and nobody is told. A
 * Service and its slices come and go in any order: they meet only in the plan.
 *
 * @module
 */

import type {
  EndpointSlice,
  NamespacedName,
  NodeObject,
  Service,
  ServiceCidr,
  Snapshot,
} from "../model/objects.ts";
import { keyOf } from "./changes.ts";
import type { Change, ObjectKind, Replacement, StoreEvent, StoreListener } from "./changes.ts";
import { isSameContent } from "./content.ts";

/** Kinds without which nothing may be written to the kernel (SYNC-05). */
const NEEDED: readonly ObjectKind[] = ["Service", "EndpointSlice"];

/** Live view of the objects for plans; {@linkcode Store.apply} and {@linkcode Store.replace} write. */
export class Store implements Snapshot {
  readonly #services = new Map<NamespacedName, Service>();
  readonly #slices = new Map<NamespacedName, EndpointSlice>();
  readonly #slicesByService = new Map<NamespacedName, readonly EndpointSlice[]>();
  readonly #serviceCidrs = new Map<string, ServiceCidr>();
  readonly #synced = new Set<ObjectKind>();
  readonly #listeners = new Set<StoreListener>();
  readonly #waiters = new Set<() => void>();
  #node: NodeObject | undefined;
  #isNodeAbsent = false;

  /** By `ns/name`. */
  get services(): ReadonlyMap<NamespacedName, Service> {
    return this.#services;
  }

  /** Slices by `ns/name` of their Service, whether that exists or not. */
  get slicesByService(): ReadonlyMap<NamespacedName, readonly EndpointSlice[]> {
    return this.#slicesByService;
  }

  /** This node as last seen, also after its deletion (NODE-09). */
  get node(): NodeObject | undefined {
    return this.#node;
  }

  /** By name. */
  get serviceCidrs(): ReadonlyMap<string, ServiceCidr> {
    return this.#serviceCidrs;
  }

  /** Takes over one change. Returns whether anything is different now. */
  apply(change: Change): boolean {
    const events = this.#write(change);
    this.#notify(events);
    return events.length > 0;
  }

  /** Makes the store hold exactly these objects of a kind, which counts as synced from then on. */
  replace(replacement: Replacement): void {
    const events = this.#writeAll(replacement);
    this.#synced.add(replacement.kind);
    this.#notify(events);
  }

  /** Whether all Services and EndpointSlices that there were at the start have been seen. */
  hasSynced(): boolean {
    return NEEDED.every((kind) => this.#synced.has(kind));
  }

  /** Whether a whole list of this kind has been seen. */
  hasSyncedKind(kind: ObjectKind): boolean {
    return this.#synced.has(kind);
  }

  /** Resolves when {@linkcode Store.hasSynced} is; rejects with the reason of `signal` on abort. */
  async whenSynced(signal: AbortSignal): Promise<void> {
    await this.#when(() => this.hasSynced(), signal);
    signal.throwIfAborted();
  }

  /**
   * Resolves with this node once it has an address, or with what is known of it, maybe nothing,
   * when the signal aborts or the source has said that there is no Node (NODE-01: go on without).
   */
  async whenNode(signal: AbortSignal): Promise<NodeObject | undefined> {
    const isKnown = () => this.#isNodeAbsent || (this.#node?.addresses.length ?? 0) > 0;
    await this.#when(isKnown, signal);
    return this.#node;
  }

  /** The source has no Node for this host, so nobody should wait for it. It may still come. */
  declareNodeAbsent(): void {
    this.#isNodeAbsent = true;
    this.#wake();
  }

  /** Calls `listener` for each change from now on. Returns the function that ends this. */
  subscribe(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #write(change: Change): readonly StoreEvent[] {
    const { kind, key } = change;
    switch (change.kind) {
      case "Service":
        return writeEntry(this.#services, [change.key, change.object])
          ? [{ kind, key, service: change.key }]
          : [];
      case "EndpointSlice":
        return this.#writeSlice(change.key, change.object);
      case "ServiceCIDR":
        return writeEntry(this.#serviceCidrs, [change.key, change.object]) ? [{ kind, key }] : [];
      case "Node":
        if (change.object === undefined || isSameContent(this.#node, change.object)) return [];
        this.#node = change.object;
        return [{ kind, key }];
    }
  }

  #writeAll({ kind, objects }: Replacement): readonly StoreEvent[] {
    switch (kind) {
      case "Service":
        return differences(this.#services, new Map(objects.map((each) => [keyOf(each), each])))
          .flatMap(([key, object]) => this.#write({ kind, key, object }));
      case "EndpointSlice":
        return differences(this.#slices, new Map(objects.map((each) => [keyOf(each), each])))
          .flatMap(([key, object]) => this.#write({ kind, key, object }));
      case "ServiceCIDR":
        return differences(this.#serviceCidrs, new Map(objects.map((each) => [each.name, each])))
          .flatMap(([key, object]) => this.#write({ kind, key, object }));
      case "Node":
        return objects.flatMap((object) => this.#write({ kind, key: object.name, object }));
    }
  }

  #writeSlice(key: NamespacedName, slice: EndpointSlice | undefined): readonly StoreEvent[] {
    const before = this.#slices.get(key);
    // A newer trigger time alone changes nothing that is programmed (EP-02).
    const triggerTimeMs = slice?.triggerTimeMs ?? 0;
    if (isSameContent(before && { ...before, triggerTimeMs }, slice)) return [];
    const from = before && serviceOf(before);
    const to = slice && serviceOf(slice);
    if (slice === undefined) this.#slices.delete(key);
    else this.#slices.set(key, slice);
    if (from !== undefined && from !== to) this.#editSlices(from, { remove: before });
    if (to !== undefined) {
      this.#editSlices(to, { ...(from === to && { remove: before }), add: slice });
    }
    const services = new Set([from, to].filter((service) => service !== undefined));
    return [...services].map((service) => ({
      kind: "EndpointSlice",
      key,
      service,
      ...(triggerTimeMs > 0 && { triggerTimeMs }),
    }));
  }

  /** The new slice takes the place of the old one, in a new array. */
  #editSlices(
    service: NamespacedName,
    { remove, add }: { remove?: EndpointSlice | undefined; add?: EndpointSlice | undefined },
  ): void {
    const list = this.#slicesByService.get(service) ?? [];
    const slices = (remove === undefined ? [...list, add] : list.map((s) => s === remove ? add : s))
      .filter((slice) => slice !== undefined);
    if (slices.length === 0) this.#slicesByService.delete(service);
    else this.#slicesByService.set(service, slices);
  }

  #notify(events: readonly StoreEvent[]): void {
    for (const event of events) {
      for (const listener of this.#listeners) listener(event);
    }
    this.#wake();
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  /** Resolves when the condition holds or the signal aborts. */
  #when(condition: () => boolean, signal: AbortSignal): Promise<void> {
    if (condition() || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        this.#waiters.delete(check);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const check = () => {
        if (condition()) end();
      };
      this.#waiters.add(check);
      signal.addEventListener("abort", end, { once: true });
    });
  }
}

function serviceOf(slice: EndpointSlice): NamespacedName {
  return `${slice.namespace}/${slice.serviceName}`;
}

/** Returns whether the map is different now. */
function writeEntry<K, T>(map: Map<K, T>, [key, object]: readonly [K, T | undefined]): boolean {
  if (object === undefined) return map.delete(key);
  if (isSameContent(map.get(key), object)) return false;
  map.set(key, object);
  return true;
}

/** What is gone, then what was listed. */
function differences<K, T>(
  known: ReadonlyMap<K, T>,
  listed: ReadonlyMap<K, T>,
): readonly (readonly [K, T | undefined])[] {
  const gone = [...known.keys()].filter((key) => !listed.has(key));
  return [...gone.map((key) => [key, undefined] as const), ...listed];
}
