/**
 * What others changed of virtual servers and addresses, seen without a process and in two or three
 * questions to the kernel. Sets and rules are looked at by the verification that follows.
 *
 * @module
 */

import type { Ipvs } from "../../kernel/ipvs/ipvs.ts";
import type { Links } from "../../kernel/link/link.ts";
import type { Cidr, IpAddress } from "../../model/ip.ts";
import { DEVICE } from "./host.ts";
import { observeVirtualServers } from "./observe.ts";
import type { IpvsWish } from "./wish.ts";

/** What the look is taken with. */
export interface DriftOptions {
  readonly ipvs: Ipvs;
  readonly links: Links;
  readonly excludeCidrs: readonly Cidr[];
}

/** What is not as it was written; undefined when all is. */
export function findDrift(
  applied: IpvsWish,
  { ipvs, links, excludeCidrs }: DriftOptions,
): string | undefined {
  const { family } = applied;
  const wanted = new Set<string>();
  const addresses = new Set<IpAddress>();
  for (const service of applied.services.values()) {
    for (const { key } of service.servers) wanted.add(key);
    for (const ip of service.addresses) addresses.add(ip);
  }
  const servers = observeVirtualServers(ipvs, { family, excludeCidrs, wanted });
  const server = firstDifference(servers, wanted);
  if (server !== undefined) return `virtual server ${server}`;
  const link = links.find(DEVICE);
  if (link === undefined) return `device ${DEVICE}`;
  const address = firstDifference(new Set(links.listAddresses(link, family)), addresses);
  return address === undefined ? undefined : `address ${address} of ${DEVICE}`;
}

interface Keys {
  readonly size: number;
  has(key: string): boolean;
  keys(): Iterable<string>;
}

/** A key that only one side has. */
function firstDifference(observed: Keys, wanted: ReadonlySet<string>): string | undefined {
  for (const key of wanted) if (!observed.has(key)) return key;
  if (observed.size === wanted.size) return undefined;
  for (const key of observed.keys()) if (!wanted.has(key)) return key;
  return undefined;
}
