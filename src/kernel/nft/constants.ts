/**
 * Numbers of linux/netfilter/nf_tables.h, and of libnftnl's userdata. Names are the kernel's.
 *
 * @module
 */

import { nfnetlinkType, NFNL_SUBSYS_NFTABLES } from "../netlink/nfnetlink.ts";
import type { DataType, NftFamily } from "./values.ts";

/** Message types, with the subsystem. */
export const MSG = {
  NEWTABLE: message(0),
  GETTABLE: message(1),
  DELTABLE: message(2),
  NEWCHAIN: message(3),
  GETCHAIN: message(4),
  DELCHAIN: message(5),
  NEWRULE: message(6),
  GETRULE: message(7),
  DELRULE: message(8),
  NEWSET: message(9),
  GETSET: message(10),
  DELSET: message(11),
  NEWSETELEM: message(12),
  GETSETELEM: message(13),
  DELSETELEM: message(14),
  NEWGEN: message(15),
  GETGEN: message(16),
} as const;

/** Multicast group of changes. */
export const NFNLGRP_NFTABLES = 7;

/** NFTA_TABLE_* */
export const TABLE = { NAME: 1, FLAGS: 2, USERDATA: 6 } as const;
/** NFTA_CHAIN_* */
export const CHAIN = { TABLE: 1, NAME: 3, HOOK: 4, POLICY: 5, TYPE: 7, USERDATA: 12 } as const;
/** NFTA_HOOK_* */
export const HOOK = { NUMBER: 1, PRIORITY: 2 } as const;
/** NFTA_RULE_* */
export const RULE = { TABLE: 1, CHAIN: 2, EXPRESSIONS: 4, USERDATA: 7 } as const;
/** NFTA_SET_* */
export const SET = {
  TABLE: 1,
  NAME: 2,
  FLAGS: 3,
  KEY_TYPE: 4,
  KEY_LEN: 5,
  DATA_TYPE: 6,
  DATA_LEN: 7,
  DESC: 9,
  ID: 10,
  TIMEOUT: 11,
  GC_INTERVAL: 12,
  USERDATA: 13,
  EXPR: 17,
  EXPRESSIONS: 18,
} as const;
/** NFTA_SET_DESC_* */
export const SET_DESC_SIZE = 1;
/** NFTA_SET_ELEM_LIST_* */
export const ELEM_LIST = { TABLE: 1, SET: 2, ELEMENTS: 3, SET_ID: 4 } as const;
/** NFTA_SET_ELEM_* */
export const ELEM = { KEY: 1, DATA: 2, FLAGS: 3, USERDATA: 6 } as const;
/** NFTA_LIST_ELEM */
export const LIST_ELEM = 1;
/** NFTA_EXPR_* */
export const EXPR = { NAME: 1, DATA: 2 } as const;
/** NFTA_DATA_* */
export const DATA = { VALUE: 1, VERDICT: 2 } as const;
/** NFTA_VERDICT_* */
export const VERDICT = { CODE: 1, CHAIN: 2 } as const;

/** NFT_SET_* flags. */
export const SET_FLAG = {
  ANONYMOUS: 0x1,
  CONSTANT: 0x2,
  INTERVAL: 0x4,
  MAP: 0x8,
  TIMEOUT: 0x10,
  EVAL: 0x20,
} as const;

/** NFT_TABLE_F_DORMANT */
export const DORMANT = 1;

/** What the kernel makes of sets that rules fill, when nobody asks for another size. */
export const DYNAMIC_SIZE = 65_535;

/** NFT_SET_ELEM_INTERVAL_END */
export const INTERVAL_END = 1;

/** Data type of verdicts, NFT_DATA_VERDICT. */
export const VERDICT_TYPE = 0xffffff00;

/** nft's own numbers of data types. */
export const TYPE_NUMBER: Readonly<Record<DataType | "integer", number>> = {
  "integer": 4,
  "ipv4_addr": 7,
  "ipv6_addr": 8,
  "inet_proto": 12,
  "inet_service": 13,
};

/** Bits that a part of a concatenated type takes. */
export const TYPE_BITS = 6;

/** Bytes of a value of a type. */
export const TYPE_SIZE: Readonly<Record<DataType, number>> = {
  "ipv4_addr": 4,
  "ipv6_addr": 16,
  "inet_proto": 1,
  "inet_service": 2,
};

/** IANA protocol numbers. */
export const PROTOCOL_NUMBER: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };

/** NFPROTO_* */
export const FAMILY_NUMBER: Readonly<Record<NftFamily, number>> = { ip: 2, ip6: 10 };

/** NF_INET_* in the order of their numbers. */
export const HOOK_NAMES = ["prerouting", "input", "forward", "output", "postrouting"] as const;

/** Verdict codes: NF_* and NFT_*. */
export const VERDICT_CODE = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const;

function message(command: number): number {
  return nfnetlinkType(NFNL_SUBSYS_NFTABLES, command);
}
