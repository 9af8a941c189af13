/**
 * What the parts of netfilter share on netlink: struct nfgenmsg and transactions.
 * See linux/netfilter/nfnetlink.h.
 *
 * @module
 */

import type { NetlinkRequest } from "./channel.ts";
import { NLM_F_ACK } from "./constants.ts";
import type { MessageWriter } from "./writer.ts";

/** Subsystem connection tracking: the high byte of a message type. */
export const NFNL_SUBSYS_CTNETLINK = 1;
/** Subsystem of sets. */
export const NFNL_SUBSYS_IPSET = 6;
/** Subsystem of named counters. */
export const NFNL_SUBSYS_ACCT = 7;
/** Subsystem nf_tables. */
export const NFNL_SUBSYS_NFTABLES = 10;

/** The message that opens a transaction. */
export const NFNL_MSG_BATCH_BEGIN = 0x10;
/** The message that closes and commits it. */
export const NFNL_MSG_BATCH_END = 0x11;

/** Bytes of struct nfgenmsg. */
export const NFGEN_SIZE = 4;

/** nfgen_family: all families. */
export const NFPROTO_UNSPEC = 0;
/** nfgen_family: IPv4 and IPv6 together. */
export const NFPROTO_INET = 1;
/** nfgen_family: IPv4. */
export const NFPROTO_IPV4 = 2;
/** nfgen_family: IPv6. */
export const NFPROTO_IPV6 = 10;

/** The message type of a command of a subsystem. */
export function nfnetlinkType(subsystem: number, command: number): number {
  return subsystem << 8 | command;
}

/** Writes struct nfgenmsg: family, version 0, resource id 0. */
export function writeNfgen(writer: MessageWriter, family: number): void {
  writer.raw4(family, { second: 0, bigEndian16: 0 });
}

/**
 * Encloses requests in a transaction of a subsystem, for {@linkcode NetlinkChannel.transact}.
 * Request `i` has index `i + 1` in the result; the head has 0 and fails when the commit does.
 */
export function nfnetlinkTransaction(
  requests: readonly NetlinkRequest[],
  { subsystem, operation }: { subsystem: number; operation: string },
): readonly NetlinkRequest[] {
  const mark = (writer: MessageWriter) =>
    writer.raw4(NFPROTO_UNSPEC, { second: 0, bigEndian16: subsystem });
  const last = requests.at(-1);
  return [
    { operation, type: NFNL_MSG_BATCH_BEGIN, body: mark },
    ...requests.slice(0, -1),
    // Without an acknowledgement a transaction that succeeds is not answered at all.
    ...last === undefined ? [] : [{ ...last, flags: (last.flags ?? 0) | NLM_F_ACK }],
    { operation, type: NFNL_MSG_BATCH_END, body: mark },
  ];
}
