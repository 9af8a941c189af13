/**
 * A table out of netlink dumps of its chains, rules, sets and elements.
 *
 * @module
 */

import { ipFromBytes } from "../../model/ip.ts";
import { Attributes, decodeAttributes } from "../netlink/attributes.ts";
import { NFGEN_SIZE } from "../netlink/nfnetlink.ts";
import {
  CHAIN,
  DATA,
  DORMANT,
  DYNAMIC_SIZE,
  ELEM,
  ELEM_LIST,
  FAMILY_NUMBER,
  HOOK,
  HOOK_NAMES,
  LIST_ELEM,
  RULE,
  SET,
  SET_DESC_SIZE,
  SET_FLAG,
  TABLE,
  TYPE_BITS,
  TYPE_NUMBER,
  TYPE_SIZE,
  VERDICT,
  VERDICT_CODE,
  VERDICT_TYPE,
} from "./constants.ts";
import { registerSize } from "./encode_data.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { ObservedChain } from "./observed.ts";
import { protocolName } from "./parse_rule.ts";
import { commentOf } from "./userdata.ts";
import type { BaseHook, DataType, Element, TableName, Verdict } from "./values.ts";

/** A named set or map as found, without its elements. */
export interface SetHead {
  readonly kind: "set" | "map";
  readonly name: string;
  readonly type: readonly string[];
  readonly timeoutSeconds?: number;
  readonly oddity?: string;
}

/** A payload of a dump: the part behind struct nfgenmsg, if it is about the table. */
export function attributesOf(
  payload: Uint8Array,
  { family, name }: TableName,
): Attributes | undefined {
  if (payload[0] !== FAMILY_NUMBER[family]) return undefined;
  const attributes = new Attributes(payload.subarray(NFGEN_SIZE));
  return attributes.string(TABLE.NAME) === name ? attributes : undefined;
}

/** The remark of a table. */
export function decodeTableComment(attributes: Attributes): string | undefined {
  return commentOf(attributes.bytes(TABLE.USERDATA));
}

/** Whether a table sleeps. */
export function isDormant(attributes: Attributes): boolean {
  return ((attributes.be32(TABLE.FLAGS) ?? 0) & DORMANT) !== 0;
}

/** Chains by name, each with the fingerprints of its rules. */
export function decodeChains(
  chains: Iterable<Attributes>,
  rules: Iterable<Attributes>,
): ReadonlyMap<string, ObservedChain> {
  const found = new Map<string, ObservedChain & { readonly rules: string[] }>();
  for (const chain of chains) {
    const base = decodeHook(chain);
    found.set(
      chain.string(CHAIN.NAME) ?? "",
      base === undefined ? { rules: [] } : { base, rules: [] },
    );
  }
  for (const rule of rules) {
    found.get(rule.string(RULE.CHAIN) ?? "")?.rules.push(fingerprintOf(rule));
  }
  return found;
}

/** A set; undefined for the anonymous ones inside of rules. */
export function decodeSetHead(set: Attributes): SetHead | undefined {
  const flags = set.be32(SET.FLAGS) ?? 0;
  if ((flags & SET_FLAG.ANONYMOUS) !== 0) return undefined;
  const timeoutMs = set.be64(SET.TIMEOUT);
  return {
    kind: (flags & SET_FLAG.MAP) !== 0 ? "map" : "set",
    name: set.string(SET.NAME) ?? "",
    type: decodeType(set.be32(SET.KEY_TYPE) ?? 0),
    ...(timeoutMs !== undefined && { timeoutSeconds: Number(timeoutMs) / 1000 }),
    ...setOddity(set, flags),
  };
}

function setOddity(set: Attributes, flags: number): { readonly oddity?: string } {
  const isMap = (flags & SET_FLAG.MAP) !== 0;
  const others = flags & ~SET_FLAG.MAP;
  const size = set.nested(SET.DESC)?.be32(SET_DESC_SIZE) ?? 0;
  const expected = others === DYNAMIC ? [0, DYNAMIC_SIZE] : [0];
  if (others !== 0 && others !== DYNAMIC) return { oddity: `flags ${others}` };
  if (!expected.includes(size)) return { oddity: `size ${size}` };
  if (isMap && set.be32(SET.DATA_TYPE) !== VERDICT_TYPE) return { oddity: "values" };
  if ((set.be32(SET.GC_INTERVAL) ?? 0) !== 0) return { oddity: "gc-interval" };
  const expressions = set.bytes(SET.EXPR) ?? set.bytes(SET.EXPRESSIONS);
  return expressions === undefined ? {} : { oddity: "expressions" };
}

/** Rules fill the set, and it forgets. */
const DYNAMIC = SET_FLAG.TIMEOUT | SET_FLAG.EVAL;

/** The elements in one message of a dump. */
export function decodeElements(list: Attributes, { type }: SetHead): readonly Element[] {
  const elements = list.bytes(ELEM_LIST.ELEMENTS);
  if (elements === undefined) return [];
  return decodeAttributes(elements).flatMap((attribute) =>
    attribute.type === LIST_ELEM ? [decodeElement(new Attributes(attribute.value), type)] : []
  );
}

function decodeHook(chain: Attributes): BaseHook | undefined {
  const hook = chain.nested(CHAIN.HOOK);
  if (hook === undefined) return undefined;
  const name = HOOK_NAMES[hook.be32(HOOK.NUMBER) ?? -1];
  // Compared with our own hooks only: any other type is just different.
  const type = chain.string(CHAIN.TYPE) as BaseHook["type"];
  const priority = (hook.be32(HOOK.PRIORITY) ?? 0) | 0;
  const isDrop = chain.be32(CHAIN.POLICY) === VERDICT_CODE.drop;
  return name && { type, hook: name, priority, ...(isDrop && { policy: "drop" }) };
}

const TYPE_NAMES = new Map(Object.entries(TYPE_NUMBER).map(([name, number]) => [number, name]));

/** The names of the parts of a type, from the last 6 bits to the first. */
function decodeType(bits: number): readonly string[] {
  const parts: string[] = [];
  for (let rest = bits; rest !== 0; rest >>>= TYPE_BITS) {
    const number = rest & ((1 << TYPE_BITS) - 1);
    parts.unshift(TYPE_NAMES.get(number) ?? `type ${number}`);
  }
  return parts;
}

function decodeElement(element: Attributes, type: readonly string[]): Element {
  const key = element.nested(ELEM.KEY)?.bytes(DATA.VALUE) ?? new Uint8Array();
  const verdict = decodeVerdict(element.nested(ELEM.DATA)?.nested(DATA.VERDICT));
  const comment = commentOf(element.bytes(ELEM.USERDATA));
  return {
    key: decodeKey(key, type),
    ...(verdict !== undefined && { verdict }),
    ...(comment !== undefined && { comment }),
  };
}

function decodeKey(bytes: Uint8Array, type: readonly string[]): readonly string[] {
  let at = 0;
  return type.map((part) => {
    if (!isDataType(part)) return "?";
    const value = bytes.subarray(at, at + TYPE_SIZE[part]);
    at += registerSize(part);
    return decodePart(value, part);
  });
}

function decodePart(value: Uint8Array, type: DataType): string {
  if (value.length !== TYPE_SIZE[type]) throw new SyntaxError(`Cannot decode ${type} of ${value}`);
  const [first = 0, second = 0] = value;
  if (type === "inet_proto") return protocolName(first) ?? `${first}`;
  return type === "inet_service" ? `${first << 8 | second}` : ipFromBytes(value);
}

function isDataType(name: string): name is DataType {
  return Object.hasOwn(TYPE_SIZE, name);
}

const VERDICT_NAMES = new Map(
  Object.entries(VERDICT_CODE).map(([name, code]) => [code as number, name as Verdict["kind"]]),
);

function decodeVerdict(verdict: Attributes | undefined): Verdict | undefined {
  const kind = VERDICT_NAMES.get((verdict?.be32(VERDICT.CODE) ?? NaN) | 0);
  if (verdict === undefined || kind === undefined) return undefined;
  if (kind !== "goto" && kind !== "jump") return { kind };
  return { kind, chain: verdict.string(VERDICT.CHAIN) ?? "" };
}
