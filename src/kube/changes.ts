/**
 * What sources tell the store, and what the store tells its listeners.
 *
 * @module
 */

import type {
  EndpointSlice,
  NamespacedName,
  NodeObject,
  Service,
  ServiceCidr,
} from "../model/objects.ts";

/** What each watched kind decodes to. */
export interface ObjectByKind {
  readonly Service: Service;
  readonly EndpointSlice: EndpointSlice;
  readonly Node: NodeObject;
  readonly ServiceCIDR: ServiceCidr;
}

/** The four kinds vipd watches, spelled as in the API. */
export type ObjectKind = keyof ObjectByKind;

/** `ns/name` of namespaced kinds, the name of others. */
export interface KeyByKind {
  readonly Service: NamespacedName;
  readonly EndpointSlice: NamespacedName;
  readonly Node: string;
  readonly ServiceCIDR: string;
}

/** One object was seen, or is gone: `object` undefined. */
export type Change<K extends ObjectKind = ObjectKind> = {
  readonly [Kind in K]: {
    readonly kind: Kind;
    readonly key: KeyByKind[Kind];
    readonly object: ObjectByKind[Kind] | undefined;
  };
}[K];

/** All objects of one kind; those of the store that are not among them are gone. */
export type Replacement<K extends ObjectKind = ObjectKind> = {
  readonly [Kind in K]: {
    readonly kind: Kind;
    readonly objects: readonly ObjectByKind[Kind][];
  };
}[K];

/** Tells a listener that an object was added, changed or removed. */
export interface StoreEvent {
  readonly kind: ObjectKind;
  /** `ns/name` of a namespaced object, else the name. */
  readonly key: string;
  /** The Service concerned, for a Service or an EndpointSlice. */
  readonly service?: NamespacedName;
  /** When the pods behind a changed slice changed, ms since 1970. */
  readonly triggerTimeMs?: number;
}

/** Called synchronously when the store is whole again after a change. Must not throw. */
export type StoreListener = (event: StoreEvent) => void;

/** The key of a namespaced object. */
export function keyOf(
  object: { readonly namespace: string; readonly name: string },
): NamespacedName {
  return `${object.namespace}/${object.name}`;
}

/** The objects of one kind among changes, as everything there is of it. */
export function replacementOf(kind: ObjectKind, changes: Iterable<Change>): Replacement {
  switch (kind) {
    case "Service":
      return { kind, objects: objectsOf(changes, (c) => c.kind === kind ? c.object : undefined) };
    case "EndpointSlice":
      return { kind, objects: objectsOf(changes, (c) => c.kind === kind ? c.object : undefined) };
    case "Node":
      return { kind, objects: objectsOf(changes, (c) => c.kind === kind ? c.object : undefined) };
    case "ServiceCIDR":
      return { kind, objects: objectsOf(changes, (c) => c.kind === kind ? c.object : undefined) };
  }
}

function objectsOf<T>(
  changes: Iterable<Change>,
  select: (change: Change) => T | undefined,
): readonly T[] {
  return [...changes].map(select).filter((object) => object !== undefined);
}
