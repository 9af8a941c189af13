/**
 * The sets that stand inside of rules, `{ … }`: what the kernel must be told of them, and a name that
 * tells their content.
 *
 * nft calls them `__set%d` and lets the kernel find a number, for which it reads the names of all sets
 * of the table. Names of ours cost nothing, and when the table is read back the digest in the name
 * saves reading the elements: the kernel lets nobody change a set that a rule is bound to.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { SET_FLAG, TYPE_BITS, TYPE_NUMBER, VERDICT_TYPE } from "./constants.ts";
import { hostBytes, targetBytes } from "./encode_data.ts";
import { bytesOf, mergeCidrs } from "./intervals.ts";
import { networksData, OPEN_INTERVAL_DATA, PICK_MAP_DATA, PICK_VMAP_DATA } from "./userdata.ts";
import type { NftFamily, Statement, Verdict } from "./values.ts";

/** An element as bytes. */
export interface RawElement {
  readonly key: Uint8Array;
  readonly value?: Uint8Array;
  readonly verdict?: Verdict;
  readonly isEnd?: true;
  readonly userdata?: Uint8Array;
}

/** An anonymous set as the kernel is told of it. */
export interface AnonymousSet {
  readonly flags: number;
  readonly keyType: number;
  readonly keyLength: number;
  readonly data?: { readonly type: number; readonly length: number };
  readonly userdata: Uint8Array;
  readonly elements: readonly RawElement[];
  /** Equal digests, equal sets. */
  readonly digest: string;
}

/** No name of a named set begins so. */
const PREFIX = "_";
const DIGEST_LENGTH = 8;
const UNIQUE_LENGTH = 6;

/**
 * A name that no other set has, as long as `unique` was not used before.
 *
 * With its zero byte it takes 16: the kernel compares it with the names of all sets of the table, three
 * times for each new one, and ten thousand short names stay in the processor's cache.
 *
 * @param unique Less than 64 to the power of 6; counted on, so that it comes back late.
 */
export function anonymousName({ digest }: AnonymousSet, unique: number): string {
  let text = "";
  let rest = unique;
  for (let i = 0; i < UNIQUE_LENGTH; i++) {
    text += ALPHABET[rest % 64];
    rest = Math.floor(rest / 64);
  }
  return `${PREFIX}${digest}${text}`;
}

/** The part of a set's name that counts for a rule: the digest of an anonymous one of ours. */
export function significantName(name: string): string {
  const isOurs = name.startsWith(PREFIX) &&
    name.length === PREFIX.length + DIGEST_LENGTH + UNIQUE_LENGTH;
  return isOurs ? name.slice(0, PREFIX.length + DIGEST_LENGTH) : name;
}

/** RFC 4648, section 5, as the digests. */
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** The set inside of a statement; undefined when there is none. */
export function anonymousSet(
  statement: Statement,
  family: NftFamily,
): AnonymousSet | undefined {
  switch (statement.kind) {
    case "address":
      return statement.of.length > 1 ? networkSet(statement, family) : undefined;
    case "pick-chain":
      return pickSet(PICK_VMAP_DATA, {
        data: { type: VERDICT_TYPE, length: 0 },
        values: statement.chains.map((chain) => ({ verdict: { kind: "goto", chain } })),
        content: `vmap ${statement.chains.join(" ")}`,
      });
    case "pick-dnat": {
      const address = family === "ip" ? "ipv4_addr" : "ipv6_addr";
      const type = TYPE_NUMBER[address] << TYPE_BITS | TYPE_NUMBER.inet_service;
      const { targets } = statement;
      return pickSet(PICK_MAP_DATA, {
        data: { type, length: family === "ip" ? 8 : 20 },
        values: targets.map((target) => ({ value: targetBytes(target) })),
        content: `map ${targets.map(({ ip, port }) => `${ip}.${port}`).join(" ")}`,
      });
    }
    default:
      return undefined;
  }
}

function pickSet(
  userdata: Uint8Array,
  { data, values, content }: {
    readonly data: { readonly type: number; readonly length: number };
    readonly values: readonly Pick<RawElement, "value" | "verdict">[];
    readonly content: string;
  },
): AnonymousSet {
  return {
    flags: SET_FLAG.ANONYMOUS | SET_FLAG.CONSTANT | SET_FLAG.MAP,
    keyType: TYPE_NUMBER.integer,
    keyLength: 4,
    data,
    userdata,
    elements: values.map((value, i) => ({ key: hostBytes(i), ...value })),
    digest: digestOf(content),
  };
}

function networkSet(
  { of, side }: Extract<Statement, { readonly kind: "address" }>,
  family: NftFamily,
): AnonymousSet {
  const bits = family === "ip" ? 32 : 128;
  const intervals = mergeCidrs(of);
  const lastAddress = (1n << BigInt(bits)) - 1n;
  const elements: RawElement[] = [];
  // The kernel's tree wants to know what is before the first interval.
  if (intervals[0]?.first !== 0n) elements.push({ key: bytesOf(0n, bits), isEnd: true });
  for (const { first, last } of intervals) {
    const isOpen = last === lastAddress;
    const key = bytesOf(first, bits);
    elements.push(isOpen && first !== last ? { key, userdata: OPEN_INTERVAL_DATA } : { key });
    if (!isOpen) elements.push({ key: bytesOf(last + 1n, bits), isEnd: true });
  }
  return {
    flags: SET_FLAG.ANONYMOUS | SET_FLAG.CONSTANT | SET_FLAG.INTERVAL,
    keyType: TYPE_NUMBER[family === "ip" ? "ipv4_addr" : "ipv6_addr"],
    keyLength: bits / 8,
    userdata: networksData(family, side),
    elements,
    digest: digestOf(intervals.map(({ first, last }) => `${first}-${last}`).join(" ")),
  };
}

function digestOf(content: string): string {
  return createHash("sha256").update(content).digest("base64url").slice(0, DIGEST_LENGTH);
}
