/**
 * What nft leaves in the kernel for itself: remarks, and how to print the keys of sets. A list of
 * type, length, value, one byte each for the first two; see libnftnl/udata.h and nft's netlink.c.
 *
 * @module
 */

import { LITTLE_ENDIAN } from "../netlink/constants.ts";
import type { Container, NftFamily } from "./values.ts";

/** NFTNL_UDATA_{TABLE,CHAIN,RULE,SET_ELEM}_COMMENT */
const COMMENT = 0;

/** NFTNL_UDATA_SET_* */
const SET_KEY_BYTE_ORDER = 0;
const SET_DATA_BYTE_ORDER = 1;
const SET_MERGE_ELEMENTS = 2;
const SET_KEY_TYPE_OF = 3;
const SET_DATA_TYPE_OF = 4;
const SET_DATA_INTERVAL = 6;
const SET_COMMENT = 7;

/** nft's enum byteorder. */
const HOST_ORDER = 1;
const NETWORK_ORDER = 2;

/** nft's enum expr_ops: what a key is made of. */
const EXPR_VERDICT = 1;
const EXPR_PAYLOAD = 7;
const EXPR_CONCAT = 13;

/** nft's protocol and field numbers of addresses. */
const ADDRESS_FIELD = {
  ip: { protocol: 12, saddr: 11, daddr: 12 },
  ip6: { protocol: 13, saddr: 8, daddr: 9 },
} as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The userdata of a table, chain, rule or element with a remark. */
export function commentData(comment: string): Uint8Array {
  return text(COMMENT, comment);
}

/** The remark in the userdata of a table, chain, rule or element. */
export function commentOf(userdata: Uint8Array | undefined): string | undefined {
  for (let i = 0; userdata !== undefined && i + 2 <= userdata.length;) {
    const [type, length = 0] = userdata.subarray(i, i + 2);
    // The zero byte at its end does not belong to the text.
    if (type === COMMENT) return decoder.decode(userdata.subarray(i + 2, i + 1 + length));
    i += 2 + length;
  }
  return undefined;
}

/** The userdata of a named set or map. */
export function setData(set: Container): Uint8Array {
  const isConcat = set.type.length > 1;
  const parts = [number(SET_KEY_BYTE_ORDER, isConcat ? 0 : NETWORK_ORDER)];
  if (set.kind === "map") parts.push(number(SET_DATA_BYTE_ORDER, 0));
  if (isConcat) parts.push(entry(SET_KEY_TYPE_OF, expression(EXPR_CONCAT)));
  if (set.kind === "map") parts.push(number(SET_DATA_INTERVAL, 0));
  if (set.comment !== undefined) parts.push(text(SET_COMMENT, set.comment));
  return concat(parts);
}

/** The userdata of the anonymous set in `ip saddr { … }`. */
export function networksData(family: NftFamily, side: "saddr" | "daddr"): Uint8Array {
  const { protocol, [side]: field } = ADDRESS_FIELD[family];
  const payload = entry(1, concat([number(0, protocol), number(1, field)]));
  return concat([
    number(SET_KEY_BYTE_ORDER, NETWORK_ORDER),
    number(SET_MERGE_ELEMENTS, 1),
    entry(SET_KEY_TYPE_OF, concat([number(0, EXPR_PAYLOAD), payload])),
  ]);
}

/** The userdata of the anonymous map behind `numgen random mod N map`. */
export const PICK_MAP_DATA: Uint8Array = concat([
  number(SET_KEY_BYTE_ORDER, HOST_ORDER),
  number(SET_DATA_BYTE_ORDER, 0),
  number(SET_DATA_INTERVAL, 0),
]);

/** The userdata of the anonymous map behind `numgen random mod N vmap`. */
export const PICK_VMAP_DATA: Uint8Array = concat([
  number(SET_KEY_BYTE_ORDER, HOST_ORDER),
  number(SET_DATA_BYTE_ORDER, 0),
  entry(SET_DATA_TYPE_OF, expression(EXPR_VERDICT)),
  number(SET_DATA_INTERVAL, 0),
]);

/** The userdata of an interval that has no end: SET_ELEM_F_INTERVAL_OPEN. */
export const OPEN_INTERVAL_DATA: Uint8Array = number(1, 1);

function expression(kind: number): Uint8Array {
  return concat([number(0, kind), entry(1, new Uint8Array())]);
}

function text(type: number, value: string): Uint8Array {
  return entry(type, encoder.encode(`${value}\0`));
}

/** nft writes its numbers in the order of the host. */
function number(type: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, LITTLE_ENDIAN);
  return entry(type, bytes);
}

function entry(type: number, value: Uint8Array): Uint8Array {
  return concat([Uint8Array.of(type, value.length), value]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
