/**
 * Numbers of linux/netlink.h that every protocol shares. Names are the kernel's.
 *
 * @module
 */

/** Protocols of socket(AF_NETLINK, ...). */
export const NETLINK_ROUTE = 0;
/** nf_tables, conntrack, nfacct and other parts of netfilter. */
export const NETLINK_NETFILTER = 12;
/** Families with names, such as IPVS. */
export const NETLINK_GENERIC = 16;

/** Message types below 16 belong to netlink itself. */
export const NLMSG_NOOP = 1;
/** An acknowledgement or an error. */
export const NLMSG_ERROR = 2;
/** The end of a dump. */
export const NLMSG_DONE = 3;
/** The kernel lost messages for this socket. */
export const NLMSG_OVERRUN = 4;

/** Every message to the kernel is a request. */
export const NLM_F_REQUEST = 0x1;
/** A part of a dump. */
export const NLM_F_MULTI = 0x2;
/** Answer even when nothing went wrong. */
export const NLM_F_ACK = 0x4;
/** The dump was interrupted by a change: entries may be missing. */
export const NLM_F_DUMP_INTR = 0x10;

/** Replace what exists. */
export const NLM_F_REPLACE = 0x100;
/** Fail when it exists. */
export const NLM_F_EXCL = 0x200;
/** Create when it does not exist. */
export const NLM_F_CREATE = 0x400;
/** Add at the end. */
export const NLM_F_APPEND = 0x800;
/** List everything (NLM_F_ROOT | NLM_F_MATCH). */
export const NLM_F_DUMP = 0x300;

/** In an error: the request is not repeated whole. */
export const NLM_F_CAPPED = 0x100;
/** In an error: attributes follow. */
export const NLM_F_ACK_TLVS = 0x200;

/** Bytes of struct nlmsghdr. */
export const HEADER_SIZE = 16;
/** Attribute flag: the value is attributes. */
export const NLA_F_NESTED = 0x8000;
/** The bits of an attribute type that are the type. */
export const NLA_TYPE_MASK = 0x3fff;

/** Whether the machine stores the low byte first; netlink headers are in host order. */
export const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Rounds up to the 4 bytes that netlink aligns everything to. */
export function align(length: number): number {
  return (length + 3) & ~3;
}
