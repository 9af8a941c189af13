/**
 * FamilyState x FamilyState -> changes, in the groups in which they may be made: what goes away
 * before its rules do, what comes after them.
 *
 * @module
 */

import { type IpvsChange, isSameVirtualServer } from "../../kernel/ipvs/values.ts";
import type { RealServer, VirtualServerAddress } from "../../kernel/ipvs/values.ts";
import type { AddressChanges } from "../../kernel/link/link.ts";
import { candidatesOf, type FamilyState, type ServerState, wantedState } from "./state.ts";
import type { ServiceWish } from "./service_wish.ts";
import type { SetName } from "./sets.ts";
import type { IpvsWish } from "./wish.ts";

/** A change and the Service it is made for. */
export interface OwnedChange {
  readonly change: IpvsChange;
  /** ServicePortName.key; "" for what nobody wants. */
  readonly owner: string;
}

/** A real server that is wanted no more but may still have connections. */
export interface Retired {
  readonly address: VirtualServerAddress;
  readonly realServer: RealServer;
  readonly owner: string;
}

/** What differs in one set. */
export interface EntryChange {
  readonly set: SetName;
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

/** What has to change. */
export interface IpvsChanges {
  readonly sets: readonly EntryChange[];
  readonly addresses: AddressChanges;
  /** Virtual servers that go away. */
  readonly removals: readonly OwnedChange[];
  /** New virtual servers, each followed by its real servers. */
  readonly additions: readonly OwnedChange[];
  /** Changes of virtual servers that stay. */
  readonly updates: readonly OwnedChange[];
  /** Real servers to be deleted as soon as they are idle. Their weight is 0 by `updates`. */
  readonly retired: readonly Retired[];
}

/** The changes from one wish to the next; looks only at Services that are different objects. */
export function diffWishes(
  { before, after }: { before: IpvsWish["services"]; after: IpvsWish["services"] },
  { scheduler }: { scheduler: string },
): IpvsChanges & { readonly servicesChanged: number } {
  const changed = before === after ? [] : [...changedServices(before, after)];
  const only = candidatesOf(changed);
  const changes = diffStates(
    changed.length === 0 ? EMPTY : wantedState(before, { scheduler, only }),
    changed.length === 0 ? EMPTY : wantedState(after, { scheduler, only }),
  );
  return { ...changes, servicesChanged: changed.length };
}

const EMPTY: FamilyState = { sets: new Map(), addresses: new Set(), servers: new Map() };

/** The changes that lead from one state to another. */
export function diffStates(before: FamilyState, after: FamilyState): IpvsChanges {
  const removals: OwnedChange[] = [];
  const additions: OwnedChange[] = [];
  const updates: OwnedChange[] = [];
  const retired: Retired[] = [];
  for (const [key, state] of before.servers) {
    if (after.servers.has(key)) continue;
    const { server: { address }, owner } = state;
    removals.push({ owner, change: { kind: "delete-virtual-server", address } });
  }
  for (const [key, state] of after.servers) {
    const old = before.servers.get(key);
    if (old === undefined) additions.push(...additionOf(state));
    else diffServer({ old, now: state }, { updates, retired });
  }
  return {
    sets: diffEntries(before.sets, after.sets),
    addresses: {
      add: [...after.addresses].filter((ip) => !before.addresses.has(ip)),
      remove: [...before.addresses].filter((ip) => !after.addresses.has(ip)),
    },
    removals,
    additions,
    updates,
    retired,
  };
}

function* changedServices(
  before: IpvsWish["services"],
  after: IpvsWish["services"],
): Generator<{ before: ServiceWish | undefined; after: ServiceWish | undefined }> {
  for (const [key, now] of after) {
    const old = before.get(key);
    if (old !== now) yield { before: old, after: now };
  }
  for (const [key, old] of before) if (!after.has(key)) yield { before: old, after: undefined };
}

function additionOf({ server, realServers, owner }: ServerState): readonly OwnedChange[] {
  const { address } = server;
  return [
    { owner, change: { kind: "add-virtual-server", server } },
    ...[...realServers.values()].map((realServer): OwnedChange => {
      return { owner, change: { kind: "add-real-server", address, realServer } };
    }),
  ];
}

function diffServer(
  { old, now }: { old: ServerState; now: ServerState },
  { updates, retired }: { updates: OwnedChange[]; retired: Retired[] },
): void {
  const { server, server: { address }, owner } = now;
  const push = (change: IpvsChange): void => void updates.push({ owner, change });
  if (!isSameVirtualServer(old.server, server)) push({ kind: "update-virtual-server", server });
  for (const [key, realServer] of now.realServers) {
    const found = old.realServers.get(key);
    if (found === undefined) push({ kind: "add-real-server", address, realServer });
    else if (found.weight !== realServer.weight || found.forwarding !== realServer.forwarding) {
      push({ kind: "update-real-server", address, realServer });
    }
  }
  for (const [key, found] of old.realServers) {
    if (now.realServers.has(key)) continue;
    const realServer = { ...found, weight: 0 };
    // Only TCP has connections that end by themselves (IPVS-21).
    if (address.protocol !== "TCP") push({ kind: "delete-real-server", address, realServer });
    else {
      if (found.weight !== 0) push({ kind: "update-real-server", address, realServer });
      retired.push({ address, realServer, owner });
    }
  }
}

const NO_ENTRIES: ReadonlySet<string> = new Set();

function diffEntries(before: FamilyState["sets"], after: FamilyState["sets"]): EntryChange[] {
  const changes: EntryChange[] = [];
  for (const set of new Set([...before.keys(), ...after.keys()])) {
    const old = before.get(set) ?? NO_ENTRIES;
    const now = after.get(set) ?? NO_ENTRIES;
    const add = [...now].filter((entry) => !old.has(entry));
    const remove = [...old].filter((entry) => !now.has(entry));
    if (add.length + remove.length > 0) changes.push({ set, add, remove });
  }
  return changes;
}
