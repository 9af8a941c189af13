/**
 * Entries of the connection tracking table as netlink messages.
 * See linux/netfilter/nfnetlink_conntrack.h.
 *
 * @module
 */

import type { Flow, FlowTuple } from "../../model/conntrack.ts";
import { type IpAddress, type IpFamily, ipFromBytes, ipToBytes } from "../../model/ip.ts";
import type { Protocol } from "../../model/objects.ts";
import { Attributes } from "../netlink/attributes.ts";
import type { NetlinkRequest } from "../netlink/channel.ts";
import {
  NFGEN_SIZE,
  nfnetlinkType,
  NFNL_SUBSYS_CTNETLINK,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  writeNfgen,
} from "../netlink/nfnetlink.ts";
import type { MessageWriter } from "../netlink/writer.ts";

/** Which flows are meant. */
export interface FlowFilter {
  readonly family: IpFamily;
  readonly protocol: Protocol;
}

const GET = nfnetlinkType(NFNL_SUBSYS_CTNETLINK, 1);
const DELETE = nfnetlinkType(NFNL_SUBSYS_CTNETLINK, 2);

const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_FILTER = 25;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;
const FILTER_PROTO_NUM = 1 << 3;

const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;

/** CTA_IP_V4_SRC and _DST, CTA_IP_V6_SRC and _DST. */
const ADDRESSES = {
  IPv4: { source: 1, destination: 2 },
  IPv6: { source: 3, destination: 4 },
} as const;

const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };
const PROTOCOLS = new Map<number, Protocol>([[6, "TCP"], [17, "UDP"], [132, "SCTP"]]);

/**
 * Lists the flows of a family; where the kernel can, of the protocol only. A kernel before 5.8
 * knows no filter and lists them all.
 */
export function listRequest(filter: FlowFilter, how: "filtered" | "unfiltered"): NetlinkRequest {
  return {
    operation: `list ${filter.family} ${filter.protocol} flows`,
    type: GET,
    body(writer) {
      writeNfgen(writer, nfFamily(filter.family));
      if (how === "unfiltered") return;
      const tuple = writer.open(CTA_TUPLE_ORIG);
      const proto = writer.open(CTA_TUPLE_PROTO);
      writer.u8(CTA_PROTO_NUM, PROTOCOL_NUMBERS[filter.protocol]);
      writer.close(proto);
      writer.close(tuple);
      const flags = writer.open(CTA_FILTER);
      writer.u32(CTA_FILTER_ORIG_FLAGS, FILTER_PROTO_NUM);
      writer.u32(CTA_FILTER_REPLY_FLAGS, 0);
      writer.close(flags);
    },
  };
}

/** Deletes the flow whose first packet was like this. */
export function deleteRequest({ family, protocol, original }: Flow): NetlinkRequest {
  const { source, sourcePort, destination, destinationPort } = original;
  return {
    operation:
      `delete ${protocol} flow ${source} ${sourcePort} -> ${destination} ${destinationPort}`,
    type: DELETE,
    body(writer) {
      writeNfgen(writer, nfFamily(family));
      writeTuple(writer, { family, protocol, tuple: original });
    },
  };
}

/** A flow of the messages; undefined for one whose protocol no Service has. */
export function decodeFlow(payload: Uint8Array): Flow | undefined {
  const family = payload[0] === NFPROTO_IPV4 ? "IPv4" : "IPv6";
  const attributes = new Attributes(payload.subarray(NFGEN_SIZE));
  const original = attributes.nested(CTA_TUPLE_ORIG);
  const reply = attributes.nested(CTA_TUPLE_REPLY);
  const number = original?.nested(CTA_TUPLE_PROTO)?.u8(CTA_PROTO_NUM);
  const protocol = number === undefined ? undefined : PROTOCOLS.get(number);
  if (protocol === undefined || original === undefined || reply === undefined) return undefined;
  return {
    family,
    protocol,
    original: decodeTuple(original, family),
    reply: decodeTuple(reply, family),
  };
}

function writeTuple(
  writer: MessageWriter,
  { family, protocol, tuple }: { family: IpFamily; protocol: Protocol; tuple: FlowTuple },
): void {
  const types = ADDRESSES[family];
  const outer = writer.open(CTA_TUPLE_ORIG);
  const ip = writer.open(CTA_TUPLE_IP);
  writer.bytes(types.source, ipToBytes(tuple.source));
  writer.bytes(types.destination, ipToBytes(tuple.destination));
  writer.close(ip);
  const proto = writer.open(CTA_TUPLE_PROTO);
  writer.u8(CTA_PROTO_NUM, PROTOCOL_NUMBERS[protocol]);
  writer.be16(CTA_PROTO_SRC_PORT, tuple.sourcePort);
  writer.be16(CTA_PROTO_DST_PORT, tuple.destinationPort);
  writer.close(proto);
  writer.close(outer);
}

function decodeTuple(tuple: Attributes, family: IpFamily): FlowTuple {
  const types = ADDRESSES[family];
  const ip = tuple.nested(CTA_TUPLE_IP);
  const proto = tuple.nested(CTA_TUPLE_PROTO);
  return {
    source: addressOf(ip?.bytes(types.source)),
    destination: addressOf(ip?.bytes(types.destination)),
    sourcePort: portOf(proto?.be16(CTA_PROTO_SRC_PORT)),
    destinationPort: portOf(proto?.be16(CTA_PROTO_DST_PORT)),
  };
}

function addressOf(bytes: Uint8Array | undefined): IpAddress {
  if (bytes?.length === 4 || bytes?.length === 16) return ipFromBytes(bytes);
  throw new SyntaxError("Cannot decode conntrack flow: it has no address");
}

function portOf(port: number | undefined): number {
  if (port !== undefined) return port;
  throw new SyntaxError("Cannot decode conntrack flow: it has no port");
}

function nfFamily(family: IpFamily): number {
  return family === "IPv4" ? NFPROTO_IPV4 : NFPROTO_IPV6;
}
