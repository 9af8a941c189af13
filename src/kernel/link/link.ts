/**
 * Network devices and their addresses through rtnetlink(7): the dummy device whose addresses make
 * packets to virtual servers local.
 *
 * @module
 */

import {
  bitsOf,
  familyOf,
  type IpAddress,
  type IpFamily,
  ipFromBytes,
  ipToBytes,
} from "../../model/ip.ts";
import { Attributes, viewOf } from "../netlink/attributes.ts";
import type { BatchResult, NetlinkChannel, NetlinkRequest } from "../netlink/channel.ts";
import { LITTLE_ENDIAN, NETLINK_ROUTE, NLM_F_CREATE, NLM_F_EXCL } from "../netlink/constants.ts";
import { ERRNO, isNotFound, isUnsupported, NetlinkError } from "../netlink/errors.ts";
import { openNetlink } from "../netlink/socket.ts";

/** A network device. */
export interface Link {
  readonly name: string;
  /** Number of the device in its namespace. */
  readonly index: number;
  /** As in "dummy"; "" for hardware. */
  readonly kind: string;
}

/** Whole addresses (/32, /128) to add to and remove from a device. */
export interface AddressChanges {
  readonly add: readonly IpAddress[];
  readonly remove: readonly IpAddress[];
}

/** What became of address changes. */
export interface AddressResult {
  /** The addresses that could not be changed. */
  readonly failures: readonly { readonly ip: IpAddress; readonly error: NetlinkError }[];
  /** False: answers were lost. List the addresses again. */
  readonly complete: boolean;
  readonly bytesSent: number;
}

/** The devices of the network namespace vipd runs in. */
export interface Links extends Disposable {
  /** undefined when there is none of this name. */
  find(name: string): Link | undefined;
  /** Makes a dummy device, which stays down. Throws a NetlinkError. */
  createDummy(name: string): Link;
  /** Removes a device and its addresses. */
  remove(link: Link): void;
  /** Addresses of one family with their full prefix; others are not for us. */
  listAddresses(link: Link, family: IpFamily): readonly IpAddress[];
  /** Adding what is there and removing what is not are fine. */
  changeAddresses(link: Link, changes: AddressChanges): AddressResult;
}

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;

const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

const AF_INET = 2;
const AF_INET6 = 10;
/** Bytes of struct ifinfomsg and struct ifaddrmsg. */
const IFINFO_SIZE = 16;
const IFADDR_SIZE = 8;

/** Opens the devices of the kernel. */
export function openLinks(): Links {
  return linksOver(openNetlink(NETLINK_ROUTE));
}

/** The devices at the other end of a channel. */
export function linksOver(channel: NetlinkChannel): Links {
  const find = (name: string): Link | undefined => {
    try {
      return decodeLink(channel.query(linkRequest("find", { name, type: RTM_GETLINK }))?.payload);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };
  return {
    find,
    createDummy(name) {
      createDummy(channel, name);
      const link = find(name);
      if (link === undefined) throw new Error(`Cannot find device ${name} after it was created`);
      return link;
    },
    remove: (link) => void channel.query(removeRequest(link)),
    listAddresses(link, family) {
      const messages = channel.dump(listRequest(link, family));
      const addresses = messages.map(({ payload }) => decodeAddress(payload, { link, family }));
      return addresses.filter((ip) => ip !== undefined);
    },
    changeAddresses: (link, changes) => changeAddresses(channel, { link, changes }),
    [Symbol.dispose]: () => channel[Symbol.dispose](),
  };
}

function createDummy(channel: NetlinkChannel, name: string): void {
  try {
    channel.query(linkRequest("create", { name, type: RTM_NEWLINK }));
  } catch (cause) {
    if (!isUnsupported(cause)) throw cause;
    const text = "the kernel has no dummy devices: modprobe dummy";
    throw new NetlinkError(`create device ${name}`, { errno: cause.errno, text }, { cause });
  }
}

function changeAddresses(
  channel: NetlinkChannel,
  { link, changes }: { link: Link; changes: AddressChanges },
): AddressResult {
  const wanted = [
    ...changes.remove.map((ip) => ({ ip, type: RTM_DELADDR })),
    ...changes.add.map((ip) => ({ ip, type: RTM_NEWADDR })),
  ];
  const result: BatchResult = channel.execute(wanted.map((one) => addressRequest(link, one)));
  const failures = result.failures.flatMap(({ index, error }) => {
    const ip = wanted[index]?.ip;
    const isFine = error.errno === ERRNO.EEXIST || error.errno === ERRNO.EADDRNOTAVAIL;
    return ip === undefined || isFine ? [] : [{ ip, error }];
  });
  return { failures, complete: result.complete, bytesSent: result.bytesSent };
}

function linkRequest(verb: string, { name, type }: { name: string; type: number }): NetlinkRequest {
  return {
    operation: `${verb} device ${name}`,
    type,
    flags: type === RTM_NEWLINK ? NLM_F_CREATE | NLM_F_EXCL : 0,
    body(writer) {
      writer.raw(new Uint8Array(IFINFO_SIZE));
      writer.string(IFLA_IFNAME, name);
      if (type !== RTM_NEWLINK) return;
      const info = writer.open(IFLA_LINKINFO);
      writer.string(IFLA_INFO_KIND, "dummy");
      writer.close(info);
    },
  };
}

/** By number: a device of this name may have been made anew. */
function removeRequest({ name, index }: Link): NetlinkRequest {
  const header = new Uint8Array(IFINFO_SIZE);
  viewOf(header).setInt32(4, index, LITTLE_ENDIAN);
  const operation = `remove device ${name}`;
  return { operation, type: RTM_DELLINK, body: (writer) => writer.raw(header) };
}

function listRequest({ name, index }: Link, family: IpFamily): NetlinkRequest {
  return {
    operation: `list ${family} addresses of ${name}`,
    type: RTM_GETADDR,
    body: (writer) => writer.raw(addressHeader({ index, family, prefixLength: 0 })),
  };
}

function addressRequest(
  { name, index }: Link,
  { ip, type }: { ip: IpAddress; type: number },
): NetlinkRequest {
  const family = familyOf(ip);
  return {
    operation: `${type === RTM_NEWADDR ? "add" : "remove"} address ${ip} of ${name}`,
    type,
    flags: type === RTM_NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0,
    body(writer) {
      const bytes = ipToBytes(ip);
      writer.raw(addressHeader({ index, family, prefixLength: bitsOf(family) }));
      writer.bytes(IFA_LOCAL, bytes);
      writer.bytes(IFA_ADDRESS, bytes);
    },
  };
}

/** struct ifaddrmsg; scope 0 is global. */
function addressHeader(
  { index, family, prefixLength }: { index: number; family: IpFamily; prefixLength: number },
): Uint8Array {
  const header = new Uint8Array(IFADDR_SIZE);
  header.set([family === "IPv4" ? AF_INET : AF_INET6, prefixLength]);
  viewOf(header).setUint32(4, index, LITTLE_ENDIAN);
  return header;
}

function decodeLink(payload: Uint8Array | undefined): Link {
  if (payload === undefined || payload.length < IFINFO_SIZE) {
    throw new SyntaxError("Cannot decode device: the message is too short");
  }
  const attributes = new Attributes(payload.subarray(IFINFO_SIZE));
  return {
    name: attributes.string(IFLA_IFNAME) ?? "",
    index: viewOf(payload).getInt32(4, LITTLE_ENDIAN),
    kind: attributes.nested(IFLA_LINKINFO)?.string(IFLA_INFO_KIND) ?? "",
  };
}

/** Kernels before 4.20 list the addresses of all devices. */
function decodeAddress(
  payload: Uint8Array,
  { link, family }: { link: Link; family: IpFamily },
): IpAddress | undefined {
  if (payload.length < IFADDR_SIZE) {
    throw new SyntaxError("Cannot decode address: the message is too short");
  }
  if (viewOf(payload).getUint32(4, LITTLE_ENDIAN) !== link.index) return undefined;
  if (payload[1] !== bitsOf(family)) return undefined;
  const attributes = new Attributes(payload.subarray(IFADDR_SIZE));
  const bytes = attributes.bytes(IFA_LOCAL) ?? attributes.bytes(IFA_ADDRESS);
  if (bytes?.length !== bitsOf(family) / 8) {
    throw new SyntaxError("Cannot decode address: it has another length than its family");
  }
  return ipFromBytes(bytes);
}
