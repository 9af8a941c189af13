/**
 * Virtual servers and real servers as generic netlink attributes: linux/ip_vs.h.
 *
 * @module
 */

import { bitsOf, familyOf, type IpAddress, ipFromBytes, ipToBytes } from "../../model/ip.ts";
import type { Protocol } from "../../model/objects.ts";
import type { Attributes } from "../netlink/attributes.ts";
import { LITTLE_ENDIAN } from "../netlink/constants.ts";
import type { MessageWriter } from "../netlink/writer.ts";
import type {
  Forwarding,
  IpvsTimeouts,
  ObservedRealServer,
  RealServer,
  VirtualServer,
  VirtualServerAddress,
} from "./values.ts";

/** enum of commands. */
export const COMMANDS = {
  newService: 1,
  setService: 2,
  deleteService: 3,
  getService: 4,
  newDestination: 5,
  setDestination: 6,
  deleteDestination: 7,
  getDestination: 8,
  setConfig: 12,
  getConfig: 13,
  flush: 17,
} as const;

/** IPVS_CMD_ATTR_SERVICE: the virtual server of a message. */
export const SERVICE = 1;
/** IPVS_CMD_ATTR_DEST: its real server. */
export const DESTINATION = 2;
const TIMEOUT_TCP = 4;
const TIMEOUT_TCP_FIN = 5;
const TIMEOUT_UDP = 6;

/** IPVS_SVC_ATTR_* */
const SVC = {
  family: 1,
  protocol: 2,
  address: 3,
  port: 4,
  firewallMark: 5,
  scheduler: 6,
  flags: 7,
  timeout: 8,
  netmask: 9,
} as const;

/** IPVS_DEST_ATTR_* */
const DEST = {
  address: 1,
  port: 2,
  forwarding: 3,
  weight: 4,
  upperThreshold: 5,
  lowerThreshold: 6,
  active: 7,
  inactive: 8,
  family: 11,
} as const;

const AF_INET = 2;
const AF_INET6 = 10;
const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };
const PROTOCOLS = new Map<number, Protocol>([[6, "TCP"], [17, "UDP"], [132, "SCTP"]]);
/** By number; the method is the low three bits of the connection flags. */
const FORWARDINGS: readonly Forwarding[] = ["masquerade", "local", "tunnel", "direct", "bypass"];
/** The kernel's own note that the service is in its table. */
const FLAG_HASHED = 0x2;

/** Writes what names a virtual server. */
export function writeAddress(writer: MessageWriter, address: VirtualServerAddress): void {
  const service = writer.open(SERVICE);
  writeAddressFields(writer, address);
  writer.close(service);
}

/** Writes a virtual server whole. */
export function writeVirtualServer(writer: MessageWriter, server: VirtualServer): void {
  const service = writer.open(SERVICE);
  writeAddressFields(writer, server.address);
  writer.string(SVC.scheduler, server.scheduler);
  writer.bytes(SVC.flags, flagsAndMask(server.flags));
  writer.u32(SVC.timeout, server.timeoutSeconds);
  if (familyOf(server.address.ip) === "IPv6") writer.u32(SVC.netmask, server.clientPrefixLength);
  else writer.be32(SVC.netmask, maskOf(server.clientPrefixLength));
  writer.close(service);
}

/** Writes a real server; its thresholds are none. */
export function writeRealServer(writer: MessageWriter, server: RealServer): void {
  const destination = writer.open(DESTINATION);
  writer.bytes(DEST.address, paddedAddress(server.ip));
  writer.be16(DEST.port, server.port);
  writer.u32(DEST.forwarding, FORWARDINGS.indexOf(server.forwarding));
  writer.u32(DEST.weight, server.weight);
  writer.u32(DEST.upperThreshold, 0);
  writer.u32(DEST.lowerThreshold, 0);
  writer.u16(DEST.family, familyNumber(server.ip));
  writer.close(destination);
}

/** Writes timeouts. */
export function writeTimeouts(writer: MessageWriter, timeouts: IpvsTimeouts): void {
  writer.u32(TIMEOUT_TCP, timeouts.tcpSeconds);
  writer.u32(TIMEOUT_TCP_FIN, timeouts.tcpFinSeconds);
  writer.u32(TIMEOUT_UDP, timeouts.udpSeconds);
}

/** A virtual server of a message; undefined for one by firewall mark or of another protocol. */
export function decodeVirtualServer(message: Attributes): VirtualServer | undefined {
  const service = required(message.nested(SERVICE), "service");
  const protocol = PROTOCOLS.get(service.u16(SVC.protocol) ?? 0);
  if (service.has(SVC.firewallMark) || protocol === undefined) return undefined;
  const isIpv6 = service.u16(SVC.family) === AF_INET6;
  const ip = decodeAddress(service.bytes(SVC.address), isIpv6);
  const netmask = isIpv6
    ? required(service.u32(SVC.netmask), "netmask")
    : prefixLengthOf(required(service.be32(SVC.netmask), "netmask"));
  const port = required(service.be16(SVC.port), "port");
  return {
    address: { ip, protocol, port },
    scheduler: service.string(SVC.scheduler) ?? "",
    flags: decodeFlags(required(service.bytes(SVC.flags), "flags")),
    timeoutSeconds: service.u32(SVC.timeout) ?? 0,
    clientPrefixLength: netmask,
  };
}

/** A real server of a message. */
export function decodeRealServer(
  message: Attributes,
  service: VirtualServerAddress,
): ObservedRealServer {
  const destination = required(message.nested(DESTINATION), "destination");
  // Kernels before 3.18 do not tell the family: it is that of the service.
  const family = destination.u16(DEST.family) ?? familyNumber(service.ip);
  return {
    ip: decodeAddress(destination.bytes(DEST.address), family === AF_INET6),
    port: required(destination.be16(DEST.port), "port"),
    forwarding: FORWARDINGS[(destination.u32(DEST.forwarding) ?? 0) & 7] ?? "bypass",
    weight: required(destination.u32(DEST.weight), "weight"),
    activeConnections: destination.u32(DEST.active) ?? 0,
    inactiveConnections: destination.u32(DEST.inactive) ?? 0,
  };
}

/** The timeouts of a message. */
export function decodeTimeouts(message: Attributes): IpvsTimeouts {
  return {
    tcpSeconds: required(message.u32(TIMEOUT_TCP), "TCP timeout"),
    tcpFinSeconds: required(message.u32(TIMEOUT_TCP_FIN), "TCP FIN timeout"),
    udpSeconds: required(message.u32(TIMEOUT_UDP), "UDP timeout"),
  };
}

function writeAddressFields(
  writer: MessageWriter,
  { ip, protocol, port }: VirtualServerAddress,
): void {
  writer.u16(SVC.family, familyNumber(ip));
  writer.u16(SVC.protocol, PROTOCOL_NUMBERS[protocol]);
  writer.bytes(SVC.address, paddedAddress(ip));
  writer.be16(SVC.port, port);
}

function familyNumber(ip: IpAddress): number {
  return familyOf(ip) === "IPv4" ? AF_INET : AF_INET6;
}

/** The kernel takes 16 bytes for either family. */
function paddedAddress(ip: IpAddress): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(ipToBytes(ip));
  return bytes;
}

function decodeAddress(bytes: Uint8Array | undefined, isIpv6: boolean): IpAddress {
  const length = isIpv6 ? 16 : 4;
  if (bytes === undefined || bytes.length < length) {
    throw new SyntaxError("Cannot decode IPVS address: it is too short");
  }
  return ipFromBytes(bytes.subarray(0, length));
}

/** struct ip_vs_flags { __u32 flags; __u32 mask; }: every bit is meant. */
function flagsAndMask(flags: number): Uint8Array {
  const bytes = new Uint8Array(8).fill(0xff);
  new DataView(bytes.buffer).setUint32(0, flags, LITTLE_ENDIAN);
  return bytes;
}

function decodeFlags(bytes: Uint8Array): number {
  if (bytes.length < 4) throw new SyntaxError("Cannot decode IPVS flags: they are too short");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return view.getUint32(0, LITTLE_ENDIAN) & ~FLAG_HASHED;
}

function maskOf(prefixLength: number): number {
  return prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
}

function prefixLengthOf(mask: number): number {
  const bits = bitsOf("IPv4");
  return bits - Math.ceil(Math.log2((~mask >>> 0) + 1));
}

function required<T>(value: T | undefined, what: string): T {
  if (value !== undefined) return value;
  throw new SyntaxError(`Cannot decode IPVS message: it has no ${what}`);
}
