/**
 * What the kernel holds for one family, in the form of a wish.
 *
 * @module
 */

import type { Ipvs } from "../../kernel/ipvs/ipvs.ts";
import { formatVirtualServer, type VirtualServer } from "../../kernel/ipvs/values.ts";
import { type Cidr, containsIp, familyOf, formatHostPort, type IpFamily } from "../../model/ip.ts";
import type { ServerState } from "./state.ts";

/** Which virtual servers are ours to change. */
export interface Jurisdiction {
  readonly family: IpFamily;
  /** Virtual servers of others in these ranges are never touched (IPVS-23). */
  readonly excludeCidrs: readonly Cidr[];
  /** Keys of those we want ourselves, whatever their address. */
  readonly wanted: { has(key: string): boolean };
}

/** The virtual servers of the family by key, but for those that belong to others. */
export function observeVirtualServers(
  ipvs: Ipvs,
  { family, excludeCidrs, wanted }: Jurisdiction,
): ReadonlyMap<string, VirtualServer> {
  const servers = new Map<string, VirtualServer>();
  for (const server of ipvs.listVirtualServers()) {
    const { ip } = server.address;
    if (familyOf(ip) !== family) continue;
    const key = formatVirtualServer(server.address);
    const isOthers = excludeCidrs.some((cidr) => containsIp(cidr, ip));
    if (!isOthers || wanted.has(key)) servers.set(key, server);
  }
  return servers;
}

/** The same with their real servers: one more question to the kernel for each. */
export function observeServers(
  ipvs: Ipvs,
  jurisdiction: Jurisdiction,
): ReadonlyMap<string, ServerState> {
  const states = new Map<string, ServerState>();
  for (const [key, server] of observeVirtualServers(ipvs, jurisdiction)) {
    // Those of a server that goes go with it.
    const found = jurisdiction.wanted.has(key) ? ipvs.listRealServers(server.address) : [];
    const realServers = new Map(found.map((one) => [formatHostPort(one.ip, one.port), one]));
    states.set(key, { server, realServers, owner: "" });
  }
  return states;
}
