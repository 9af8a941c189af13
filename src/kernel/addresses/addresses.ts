/**
 * The addresses on the interfaces of this node, read by getifaddrs(3): no process, no netlink.
 *
 * @module
 */

import { parseIp } from "../../model/ip.ts";
import type { HostAddress } from "../../model/objects.ts";

/** All addresses of both families on interfaces that are up, in the order of the kernel. */
export function listHostAddresses(): readonly HostAddress[] {
  return Deno.networkInterfaces().map(({ name, address }) => ({
    interfaceName: name,
    // A link-local address may carry its zone: fe80::1%eth0.
    ip: parseIp(address.replace(/%.*$/, "")),
  }));
}
