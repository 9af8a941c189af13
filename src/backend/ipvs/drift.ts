/**
 * What others changed of virtual servers, sets and addresses, seen without a process and in few
 * questions to the kernel. Real servers are one question for each virtual server, so each look asks
 * for some of them. Rules are looked at by the monitor of their tables.
 *
 * @module
 */

import type { ListedSet, SetList } from "../../kernel/ipset/list.ts";
import type { Ipvs } from "../../kernel/ipvs/ipvs.ts";
import {
  isSameVirtualServer,
  type ObservedRealServer,
  type VirtualServer,
  type VirtualServerAddress,
} from "../../kernel/ipvs/values.ts";
import type { Links } from "../../kernel/link/link.ts";
import { type Cidr, formatHostPort } from "../../model/ip.ts";
import { DEVICE } from "./host.ts";
import { observeVirtualServers } from "./observe.ts";
import type { ServerWish } from "./service_wish.ts";
import { kernelSetName, SET_NAMES, SET_TYPES } from "./sets.ts";
import { claimsOf, type FamilyState, wantedEntries, wantedServer } from "./state.ts";
import type { IpvsWish } from "./wish.ts";

/** What the look is taken with. */
export interface DriftOptions {
  readonly ipvs: Ipvs;
  readonly links: Links;
  readonly setList: SetList;
  readonly scheduler: string;
  readonly excludeCidrs: readonly Cidr[];
  /** Those that drain are nobody's wish, and no drift. */
  readonly isDraining: (address: VirtualServerAddress, realServer: ObservedRealServer) => boolean;
}

/** Virtual servers whose real servers one look compares. */
const PATROL = 50;
/** Sets with more entries than this, all together, are only counted. */
const CHEAP_ENTRIES = 2_000;

/** Looks at what the kernel holds. */
export class DriftFinder {
  readonly #options: DriftOptions;
  /** How many virtual servers were patrolled. */
  #position = 0;

  constructor(options: DriftOptions) {
    this.#options = options;
  }

  /** What is not as it was written; undefined when all that was looked at is. */
  find(applied: IpvsWish): string | undefined {
    const wanted = new Map([...claimsOf(applied.services)].map(([key, { wish }]) => [key, wish]));
    const server = this.#findServer(applied, wanted);
    if (server !== undefined) return `virtual server ${server}`;
    const { sets, addresses } = wantedEntries(applied.services);
    const set = this.#findSet(applied, sets);
    if (set !== undefined) return `set ${set}`;
    const address = this.#findAddress(applied, addresses);
    if (address !== undefined) return address;
    const patrolled = this.#patrol([...wanted.values()]);
    return patrolled && `real servers of ${patrolled.key}`;
  }

  /** One that is not there, or too many, or not as it was made (IPVS-20). */
  #findServer(
    { family }: IpvsWish,
    wanted: ReadonlyMap<string, ServerWish>,
  ): string | undefined {
    const { ipvs, excludeCidrs, scheduler } = this.#options;
    const servers = observeVirtualServers(ipvs, { family, excludeCidrs, wanted });
    const isSame = (server: VirtualServer | undefined, wish: ServerWish): boolean =>
      server !== undefined && isSameVirtualServer(server, wantedServer(wish, scheduler));
    return firstDifference(servers, wanted) ??
      [...wanted].find(([key, wish]) => !isSame(servers.get(key), wish))?.[0];
  }

  #findSet({ family }: IpvsWish, wanted: FamilyState["sets"]): string | undefined {
    const names = new Map(SET_NAMES.map((set) => [kernelSetName(set, family), set]));
    const total = [...wanted.values()].reduce((sum, entries) => sum + entries.size, 0);
    const listed = this.#options.setList.list({
      isWanted: (name) => names.has(name),
      what: total > CHEAP_ENTRIES ? "counts" : "entries",
    });
    for (const [name, set] of names) {
      const found = listed.get(name);
      if (found?.type !== SET_TYPES[set]) return name;
      if (!holds(found, wanted.get(set) ?? new Set())) return name;
    }
    return undefined;
  }

  #findAddress({ family }: IpvsWish, wanted: FamilyState["addresses"]): string | undefined {
    const { links } = this.#options;
    const link = links.find(DEVICE);
    if (link === undefined) return `device ${DEVICE}`;
    const address = firstDifference(new Set(links.listAddresses(link, family)), wanted);
    return address && `address ${address} of ${DEVICE}`;
  }

  /** A virtual server whose real servers are not those wanted, among the next few. */
  #patrol(wishes: readonly ServerWish[]): ServerWish | undefined {
    const { ipvs, isDraining } = this.#options;
    const count = Math.min(PATROL, wishes.length);
    for (let i = 0; i < count; i++) {
      const wish = wishes[this.#position++ % wishes.length];
      if (wish === undefined) continue;
      const wanted = new Set(wish.realServers.map(({ text }) => text));
      const found = ipvs.listRealServers(wish.address)
        .map((one) => ({ ...one, key: formatHostPort(one.ip, one.port) }))
        .filter((one) => {
          // Somebody else took the connections away from one that is wanted: as good as gone.
          return one.weight !== 0 || !(wanted.has(one.key) || isDraining(wish.address, one));
        });
      if (firstDifference(new Set(found.map(({ key }) => key)), wanted) !== undefined) return wish;
    }
    return undefined;
  }
}

function holds({ count, entries }: ListedSet, wanted: ReadonlySet<string>): boolean {
  if (entries !== undefined) return firstDifference(entries, wanted) === undefined;
  return count === undefined || count === wanted.size;
}

interface Keys {
  readonly size: number;
  has(key: string): boolean;
  keys(): Iterable<string>;
}

/** A key that only one side has. */
function firstDifference(observed: Keys, wanted: Keys): string | undefined {
  for (const key of wanted.keys()) if (!observed.has(key)) return key;
  if (observed.size === wanted.size) return undefined;
  for (const key of observed.keys()) if (!wanted.has(key)) return key;
  return undefined;
}
