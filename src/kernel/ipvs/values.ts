/**
 * Virtual servers and real servers as values, in the words of ipvsadm(8).
 *
 * @module
 */

import { bitsOf, familyOf, formatHostPort, type IpAddress } from "../../model/ip.ts";
import type { Protocol } from "../../model/objects.ts";

/** What names a virtual server. Those by firewall mark are nobody's business here. */
export interface VirtualServerAddress {
  readonly ip: IpAddress;
  readonly protocol: Protocol;
  readonly port: number;
}

/** Flags of a virtual server: linux/ip_vs.h. */
export const VIRTUAL_SERVER_FLAGS = {
  /** Clients return to the same real server for `timeoutSeconds`. */
  persistent: 0x1,
  /** Of the scheduler; `mh` takes the port of the client into account. */
  mhPort: 0x10,
} as const;

/** A virtual server. */
export interface VirtualServer {
  readonly address: VirtualServerAddress;
  /** Name of the scheduler, as in `rr`. */
  readonly scheduler: string;
  /** Bits of {@linkcode VIRTUAL_SERVER_FLAGS} and others of the kernel. */
  readonly flags: number;
  /** Of persistence; 0 without. */
  readonly timeoutSeconds: number;
  /** Clients that agree in so many bits count as one: 32 or 128 for each for itself. */
  readonly clientPrefixLength: number;
}

/** How packets reach a real server. */
export type Forwarding = "masquerade" | "local" | "tunnel" | "direct" | "bypass";

/** A destination of a virtual server. */
export interface RealServer {
  readonly ip: IpAddress;
  readonly port: number;
  readonly forwarding: Forwarding;
  /** 0: no new connections. */
  readonly weight: number;
}

/** A destination as the kernel has it. */
export interface ObservedRealServer extends RealServer {
  readonly activeConnections: number;
  readonly inactiveConnections: number;
}

/** How long idle connections are remembered. */
export interface IpvsTimeouts {
  readonly tcpSeconds: number;
  readonly tcpFinSeconds: number;
  readonly udpSeconds: number;
}

/** One thing to change. */
export type IpvsChange =
  | {
    readonly kind: "add-virtual-server" | "update-virtual-server";
    readonly server: VirtualServer;
  }
  | { readonly kind: "delete-virtual-server"; readonly address: VirtualServerAddress }
  | {
    readonly kind: "add-real-server" | "update-real-server" | "delete-real-server";
    readonly address: VirtualServerAddress;
    readonly realServer: RealServer;
  };

/** `10.96.0.1:80/TCP`, `[fd00::1]:80/TCP`: unique among virtual servers. */
export function formatVirtualServer({ ip, protocol, port }: VirtualServerAddress): string {
  return `${formatHostPort(ip, port)}/${protocol}`;
}

/** A virtual server without persistence. */
export function plainVirtualServer(
  address: VirtualServerAddress,
  scheduler: string,
): VirtualServer {
  const clientPrefixLength = bitsOf(familyOf(address.ip));
  return { address, scheduler, flags: 0, timeoutSeconds: 0, clientPrefixLength };
}

/** Whether both virtual servers behave the same. */
export function isSameVirtualServer(a: VirtualServer, b: VirtualServer): boolean {
  return a.scheduler === b.scheduler && a.flags === b.flags &&
    a.timeoutSeconds === b.timeoutSeconds && a.clientPrefixLength === b.clientPrefixLength;
}
