/**
 * What others changed of virtual servers and addresses, seen without a process and in few questions
 * to the kernel. Real servers are one question for each virtual server, so each look asks for some
 * of them. Sets and rules are looked at by the verification that follows.
 *
 * @module
 */

import type { Ipvs } from "../../kernel/ipvs/ipvs.ts";
import type { Links } from "../../kernel/link/link.ts";
import { type Cidr, formatHostPort } from "../../model/ip.ts";
import { DEVICE } from "./host.ts";
import { observeVirtualServers } from "./observe.ts";
import type { ServerWish } from "./service_wish.ts";
import type { IpvsWish } from "./wish.ts";

/** What the look is taken with. */
export interface DriftOptions {
  readonly ipvs: Ipvs;
  readonly links: Links;
  readonly excludeCidrs: readonly Cidr[];
}

/** Virtual servers whose real servers one look compares. */
const PATROL = 50;

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
    const { ipvs, links, excludeCidrs } = this.#options;
    const { family } = applied;
    const wanted = wantedServers(applied);
    const servers = observeVirtualServers(ipvs, { family, excludeCidrs, wanted });
    const server = firstDifference(servers, wanted);
    if (server !== undefined) return `virtual server ${server}`;
    const link = links.find(DEVICE);
    if (link === undefined) return `device ${DEVICE}`;
    const addresses = new Set([...applied.services.values()].flatMap((one) => one.addresses));
    const address = firstDifference(new Set(links.listAddresses(link, family)), addresses);
    if (address !== undefined) return `address ${address} of ${DEVICE}`;
    const patrolled = this.#patrol([...wanted.values()]);
    return patrolled && `real servers of ${patrolled.key}`;
  }

  /** A virtual server whose real servers are not those wanted, among the next few. */
  #patrol(wishes: readonly ServerWish[]): ServerWish | undefined {
    const count = Math.min(PATROL, wishes.length);
    for (let i = 0; i < count; i++) {
      const wish = wishes[this.#position++ % wishes.length];
      if (wish === undefined) continue;
      const found = this.#options.ipvs.listRealServers(wish.address)
        .filter(({ weight }) => weight !== 0) // those that drain are nobody's wish
        .map(({ ip, port }) => formatHostPort(ip, port));
      const wanted = new Set(wish.realServers.map(({ text }) => text));
      if (firstDifference(new Set(found), wanted) !== undefined) return wish;
    }
    return undefined;
  }
}

/** By key; of two Services that want the same one the first has it. */
function wantedServers({ services }: IpvsWish): ReadonlyMap<string, ServerWish> {
  const winners = new Map<string, { readonly owner: string; readonly wish: ServerWish }>();
  for (const [owner, service] of services) {
    for (const wish of service.servers) {
      const other = winners.get(wish.key);
      if (other === undefined || owner < other.owner) winners.set(wish.key, { owner, wish });
    }
  }
  return new Map([...winners].map(([key, { wish }]) => [key, wish]));
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
