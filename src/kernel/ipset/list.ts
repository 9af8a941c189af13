/**
 * What sets hold, asked of the kernel directly: no process, but only for looking. Reading and
 * writing as such is the business of the tool. See linux/netfilter/ipset/ip_set.h.
 *
 * @module
 */

import { bitsOf, familyOf, type IpAddress, ipFromBytes } from "../../model/ip.ts";
import { Attributes, decodeAttributes } from "../netlink/attributes.ts";
import type { NetlinkChannel, NetlinkRequest } from "../netlink/channel.ts";
import { NETLINK_NETFILTER } from "../netlink/constants.ts";
import {
  NFGEN_SIZE,
  nfnetlinkType,
  NFNL_SUBSYS_IPSET,
  NFPROTO_UNSPEC,
  writeNfgen,
} from "../netlink/nfnetlink.ts";
import { openNetlink } from "../netlink/socket.ts";

/** A set as it was listed. */
export interface ListedSet {
  /** As in "hash:ip,port". */
  readonly type: string;
  /** How many entries it has; undefined: the kernel did not say. */
  readonly count: number | undefined;
  /** As `ipset save` prints them; undefined: not asked for. */
  readonly entries: ReadonlySet<string> | undefined;
}

/** What is listed. */
export interface ListOptions {
  /** Which sets; others may be large and nobody's business. */
  readonly isWanted: (name: string) => boolean;
  /** Entries cost the kernel and us a little each, counts are nearly free. */
  readonly what: "entries" | "counts";
}

/** Lists the sets of the network namespace vipd runs in. */
export interface SetList extends Disposable {
  /** By name. Throws a NetlinkError. */
  list(options: ListOptions): ReadonlyMap<string, ListedSet>;
}

const LIST = nfnetlinkType(NFNL_SUBSYS_IPSET, 7);
/** Spoken by all kernels since 2.6.39. */
const PROTOCOL = 6;
const FLAG_LIST_HEADER = 1 << 2;

const ATTR_PROTOCOL = 1;
const ATTR_SETNAME = 2;
const ATTR_TYPENAME = 3;
const ATTR_FLAGS = 6;
const ATTR_DATA = 7;
const ATTR_ADT = 8;

const DATA_ELEMENTS = 24;

const ENTRY_IP = 1;
const ENTRY_PORT = 4;
const ENTRY_PROTO = 7;
const ENTRY_IP2 = 20;
const ENTRY_CIDR2 = 21;

/** Opens the sets of the kernel. Throws a NetlinkError. */
export function openSetList(): SetList {
  return setListOver(openNetlink(NETLINK_NETFILTER));
}

/** The sets at the other end of a channel. */
export function setListOver(channel: NetlinkChannel): SetList {
  return {
    list({ isWanted, what }) {
      const sets = new Map<string, GrowingSet>();
      for (const { payload } of channel.dump(listRequest(what))) {
        const attributes = new Attributes(payload.subarray(NFGEN_SIZE));
        const name = attributes.string(ATTR_SETNAME) ?? "";
        if (!isWanted(name)) continue;
        // A large set comes in several messages; only the first of them has the type.
        const set = sets.get(name) ?? listedSet(attributes, what);
        addEntries(set, attributes);
        sets.set(name, set);
      }
      return sets;
    },
    [Symbol.dispose]: () => channel[Symbol.dispose](),
  };
}

function listRequest(what: ListOptions["what"]): NetlinkRequest {
  return {
    operation: "list sets",
    type: LIST,
    body(writer) {
      writeNfgen(writer, NFPROTO_UNSPEC);
      writer.u8(ATTR_PROTOCOL, PROTOCOL);
      if (what === "counts") writer.be32(ATTR_FLAGS, FLAG_LIST_HEADER);
    },
  };
}

type GrowingSet = ListedSet & { readonly entries: Set<string> | undefined };

function listedSet(attributes: Attributes, what: ListOptions["what"]): GrowingSet {
  return {
    type: attributes.string(ATTR_TYPENAME) ?? "",
    count: attributes.nested(ATTR_DATA)?.be32(DATA_ELEMENTS),
    entries: what === "counts" ? undefined : new Set(),
  };
}

function addEntries({ entries }: GrowingSet, attributes: Attributes): void {
  if (entries === undefined) return;
  for (const { value } of attributes.list(ATTR_ADT)) entries.add(entryText(new Attributes(value)));
}

/** `10.0.0.1,tcp:80,10.1.0.0/16`, `10.0.0.1`, `30080`. */
function entryText(entry: Attributes): string {
  const [ip, ip2] = [addressOf(entry, ENTRY_IP), addressOf(entry, ENTRY_IP2)];
  const port = entry.be16(ENTRY_PORT);
  if (ip === undefined) return String(port ?? "");
  const portal = port === undefined ? "" : `,${protocolName(entry.u8(ENTRY_PROTO))}:${port}`;
  const length = entry.u8(ENTRY_CIDR2);
  const isNet = ip2 !== undefined && length !== undefined && length !== bitsOf(familyOf(ip2));
  return `${ip}${portal}${ip2 === undefined ? "" : `,${ip2}${isNet ? `/${length}` : ""}`}`;
}

/** IPSET_ATTR_IPADDR_IPV4 or _IPV6 inside. */
function addressOf(entry: Attributes, type: number): IpAddress | undefined {
  const value = entry.bytes(type);
  const bytes = value && decodeAttributes(value)[0]?.value;
  if (bytes === undefined) return undefined;
  if (bytes.length === 4 || bytes.length === 16) return ipFromBytes(bytes);
  throw new SyntaxError(`Cannot decode set entry: an address has ${bytes.length} bytes`);
}

const PROTOCOL_NAMES = new Map([[6, "tcp"], [17, "udp"], [132, "sctp"]]);

function protocolName(number: number | undefined): string {
  return PROTOCOL_NAMES.get(number ?? 0) ?? String(number);
}
