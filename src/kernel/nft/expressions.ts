/**
 * Single expressions of the nf_tables virtual machine as attributes; see linux/netfilter/nf_tables.h.
 *
 * @module
 */

import type { MessageWriter } from "../netlink/writer.ts";
import { EXPR, FAMILY_NUMBER, LIST_ELEM } from "./constants.ts";
import { hostBytes, writeValue } from "./encode_data.ts";
import type { NftFamily, Selector } from "./values.ts";

/** Where expressions go, and what addresses look like there. */
export interface Scope {
  readonly writer: MessageWriter;
  readonly family: NftFamily;
}

/** The name, and the id within the transaction, of an anonymous set. */
export interface SetReference {
  readonly name: string;
  readonly id: number;
}

/** Attributes that are 32 bits in network order, by type. */
export type Numbers = Readonly<Record<number, number>>;

const META_L4PROTO = 16;
/** NFT_PAYLOAD_* */
export const NETWORK_HEADER = 1;
/** NFT_PAYLOAD_* */
export const TRANSPORT_HEADER = 2;
/** NFT_CMP_* */
export const CMP_EQ = 0;
/** NFT_CMP_* */
export const CMP_NEQ = 1;
/** Where addresses are in their header, and how many bytes they take. */
export const ADDRESS_OFFSET = {
  ip: { saddr: 12, daddr: 16, size: 4 },
  ip6: { saddr: 8, daddr: 24, size: 16 },
} as const;

/** The number of the n-th register of 4 bytes: those that begin one of 16 bytes have its number. */
export function register(index: number): number {
  return index % 4 === 0 ? 1 + index / 4 : 8 + index;
}

/** Loads the parts of a key into registers one after the other. */
export function load(key: readonly Selector[], scope: Scope): void {
  let index = 0;
  for (const selector of key) {
    const to = register(index);
    if (selector === "l4proto") expression(scope, "meta", { 2: META_L4PROTO, 1: to });
    else if (selector === "dport") {
      expression(scope, "payload", { 1: to, 2: TRANSPORT_HEADER, 3: 2, 4: 2 });
    } else {
      const { size, [selector]: offset } = ADDRESS_OFFSET[scope.family];
      expression(scope, "payload", { 1: to, 2: NETWORK_HEADER, 3: offset, 4: size });
      index += size / 4 - 1;
    }
    index++;
  }
}

/** Looks the key in the registers up in a set; `to` is where the value goes, 0 for verdicts. */
export function lookup(
  scope: Scope,
  { set, to, not }: {
    readonly set: string | SetReference | undefined;
    readonly to?: number;
    readonly not?: boolean;
  },
): void {
  if (set === undefined) throw new TypeError("A look-up needs a set");
  writeExpression(scope, "lookup", {
    body(writer) {
      writer.be32(2, register(0));
      if (to !== undefined) writer.be32(3, to);
      writer.string(1, typeof set === "string" ? set : set.name);
      if (typeof set !== "string") writer.be32(4, set.id);
      if (not) writer.be32(5, 1); // NFT_LOOKUP_F_INV
    },
  });
}

/** A random number below the modulus. */
export function numgen(scope: Scope, modulus: number): void {
  expression(scope, "numgen", { 1: register(0), 2: modulus, 3: 1, 4: 0 }); // NFT_NG_RANDOM
}

/** Replaces the destination by what is in the registers. */
export function nat(
  scope: Scope,
  { port, flags }: { readonly port: number; readonly flags: number | undefined },
): void {
  expression(scope, "nat", {
    1: 1, // NFT_NAT_DNAT
    2: FAMILY_NUMBER[scope.family],
    3: register(0),
    5: port,
    ...(flags !== undefined && { 7: flags }),
  });
}

/** Loads a constant. */
export function immediate(
  scope: Scope,
  { register: to, value }: { readonly register: number; readonly value: Uint8Array },
): void {
  writeExpression(scope, "immediate", {
    body(writer) {
      writer.be32(1, to);
      writeValue(writer, { type: 2, value });
    },
  });
}

/** Whether any of the bits is set. */
export function testBits(scope: Scope, bits: number): void {
  bitwise(scope, { mask: hostBytes(bits), xor: new Uint8Array(4) });
  compare(scope, { op: CMP_NEQ, value: new Uint8Array(4) });
}

/** Masks and flips the bits of the first register. */
export function bitwise(
  scope: Scope,
  { mask, xor }: { readonly mask: Uint8Array; readonly xor: Uint8Array },
): void {
  writeExpression(scope, "bitwise", {
    body(writer) {
      writer.be32(1, register(0));
      writer.be32(2, register(0));
      writer.be32(3, mask.length);
      writeValue(writer, { type: 4, value: mask });
      writeValue(writer, { type: 5, value: xor });
    },
  });
}

/** Goes on if the comparison with the first register holds. */
export function compare(
  scope: Scope,
  { op, value }: { readonly op: number; readonly value: Uint8Array },
): void {
  writeExpression(scope, "cmp", {
    body(writer) {
      writer.be32(1, register(0));
      writer.be32(2, op);
      writeValue(writer, { type: 3, value });
    },
  });
}

/** An expression of numbers only. */
export function expression(scope: Scope, name: string, numbers: Numbers): void {
  writeExpression(scope, name, {
    body(writer) {
      for (const [type, value] of Object.entries(numbers)) writer.be32(Number(type), value);
    },
  });
}

/** Any expression. */
export function writeExpression(
  { writer }: Scope,
  name: string,
  { body }: { readonly body: (writer: MessageWriter) => void },
): void {
  const outer = writer.open(LIST_ELEM);
  writer.string(EXPR.NAME, name);
  const data = writer.open(EXPR.DATA);
  body(writer);
  writer.close(data);
  writer.close(outer);
}
