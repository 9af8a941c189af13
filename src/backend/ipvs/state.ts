/**
 * What the kernel holds, or should hold, for one family: sets, addresses of the dummy device,
 * virtual servers. Wishes and observations take the same form, so that one comparison does.
 *
 * @module
 */

import type { RealServer, VirtualServer } from "../../kernel/ipvs/values.ts";
import { plainVirtualServer, VIRTUAL_SERVER_FLAGS } from "../../kernel/ipvs/values.ts";
import type { IpAddress } from "../../model/ip.ts";
import type { Endpoint } from "../../model/plan.ts";
import type { ServerWish, ServiceWish } from "./service_wish.ts";
import type { SetName } from "./sets.ts";
import type { IpvsWish } from "./wish.ts";

/** A virtual server and its real servers. */
export interface ServerState {
  readonly server: VirtualServer;
  /** By `ip:port`. */
  readonly realServers: ReadonlyMap<string, RealServer>;
  /** ServicePortName.key of the Service it is for; "" for what was found in the kernel. */
  readonly owner: string;
}

/** One family. */
export interface FamilyState {
  readonly sets: ReadonlyMap<SetName, ReadonlySet<string>>;
  readonly addresses: ReadonlySet<IpAddress>;
  /** By formatVirtualServer(). */
  readonly servers: ReadonlyMap<string, ServerState>;
}

/** The set of addresses on the dummy device. */
export const ADDRESS_SET: SetName = "KUBE-IPVS-IPS";

/** What of a wish is looked at. */
export interface Candidates {
  readonly entries: ReadonlyMap<SetName, ReadonlySet<string>>;
  readonly addresses: ReadonlySet<IpAddress>;
  readonly servers: ReadonlySet<string>;
}

/** A virtual server as one Service wants it. */
export interface Claim {
  /** ServicePortName.key. */
  readonly owner: string;
  readonly wish: ServerWish;
}

/**
 * Who has which virtual server, by its key. When two Services want the same one, the one whose key
 * comes first has it; within a Service what is outside counts, as kube-proxy writes that last.
 */
export function claimsOf(
  services: IpvsWish["services"],
  only?: Pick<Candidates, "servers">,
): ReadonlyMap<string, Claim> {
  const claims = new Map<string, Claim>();
  for (const [owner, { servers }] of services) {
    for (const wish of servers) {
      if (only !== undefined && !only.servers.has(wish.key)) continue;
      const other = claims.get(wish.key);
      if (other === undefined || owner <= other.owner) claims.set(wish.key, { owner, wish });
    }
  }
  return claims;
}

/** The state that a wish describes, or the part of it that `only` names. */
export function wantedState(
  services: IpvsWish["services"],
  { scheduler, only }: { scheduler: string; only?: Candidates },
): FamilyState {
  const servers = new Map<string, ServerState>();
  for (const [key, { owner, wish }] of claimsOf(services, only)) {
    servers.set(key, serverState(wish, { owner, scheduler }));
  }
  return { ...wantedEntries(services, only), servers };
}

/** The entries of sets and the addresses that a wish describes. */
export function wantedEntries(
  services: IpvsWish["services"],
  only?: Candidates,
): Pick<FamilyState, "sets" | "addresses"> {
  const sets = new Map<SetName, Set<string>>();
  const addresses = new Set<IpAddress>();
  const hasEntries = only === undefined || only.entries.size > 0;
  const hasAddresses = only === undefined || only.addresses.size > 0;
  for (const service of services.values()) {
    if (hasEntries) collectEntries(service, { sets, only });
    if (hasAddresses) collectAddresses(service, { sets, addresses, only });
  }
  return { sets, addresses };
}

/** Everything that may differ between two wishes; parts that are the same on both sides are not. */
export function candidatesOf(
  changed: Iterable<{ before: ServiceWish | undefined; after: ServiceWish | undefined }>,
): Candidates {
  const entries = new Map<SetName, Set<string>>();
  const addresses = new Set<IpAddress>();
  const servers = new Set<string>();
  for (const { before, after } of changed) {
    for (const [set, entry] of oneSided(before?.entries, { other: after?.entries, text: join })) {
      addTo(entries, { set, entry });
    }
    for (const ip of oneSided(before?.addresses, { other: after?.addresses, text: String })) {
      addresses.add(ip);
    }
    for (const wish of [...before?.servers ?? [], ...after?.servers ?? []]) servers.add(wish.key);
  }
  return { entries, addresses, servers };
}

/** A virtual server with its real servers as wanted: IPVS-17, IPVS-18. */
function serverState(
  wish: ServerWish,
  { owner, scheduler }: { owner: string; scheduler: string },
): ServerState {
  const { realServers } = wish;
  return {
    owner,
    server: wantedServer(wish, scheduler),
    realServers: new Map(realServers.map((endpoint) => [endpoint.text, realServer(endpoint)])),
  };
}

/** A virtual server alone, as wanted. */
export function wantedServer(
  { address, persistenceSeconds }: ServerWish,
  scheduler: string,
): VirtualServer {
  const { persistent, mhPort } = VIRTUAL_SERVER_FLAGS;
  const flags = (persistenceSeconds > 0 ? persistent : 0) | (scheduler === "mh" ? mhPort : 0);
  return { ...plainVirtualServer(address, scheduler), flags, timeoutSeconds: persistenceSeconds };
}

function realServer({ ip, port }: Endpoint): RealServer {
  return { ip, port, forwarding: "masquerade", weight: 1 };
}

function collectEntries(
  { entries }: ServiceWish,
  { sets, only }: { sets: Map<SetName, Set<string>>; only: Candidates | undefined },
): void {
  for (const [set, entry] of entries) {
    if (only === undefined || only.entries.get(set)?.has(entry)) addTo(sets, { set, entry });
  }
}

function collectAddresses(
  service: ServiceWish,
  { sets, addresses, only }: {
    sets: Map<SetName, Set<string>>;
    addresses: Set<IpAddress>;
    only: Candidates | undefined;
  },
): void {
  for (const ip of service.addresses) {
    if (only !== undefined && !only.addresses.has(ip)) continue;
    addresses.add(ip);
    addTo(sets, { set: ADDRESS_SET, entry: ip });
  }
}

function addTo(
  sets: Map<SetName, Set<string>>,
  { set, entry }: { set: SetName; entry: string },
): void {
  const entries = sets.get(set);
  if (entries === undefined) sets.set(set, new Set([entry]));
  else entries.add(entry);
}

/** Items that only one of two lists has. */
function oneSided<T>(
  items: readonly T[] | undefined,
  { other, text }: { other: readonly T[] | undefined; text: (item: T) => string },
): readonly T[] {
  const here = new Set(items?.map(text));
  const there = new Set(other?.map(text));
  return [
    ...items?.filter((item) => !there.has(text(item))) ?? [],
    ...other?.filter((item) => !here.has(text(item))) ?? [],
  ];
}

function join(entry: readonly [SetName, string]): string {
  return entry.join(" ");
}
