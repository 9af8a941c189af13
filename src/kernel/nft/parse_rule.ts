/**
 * Rules out of the `expr` arrays of `nft -j list`: the inverse of formatRule().
 *
 *   {"match": {"op": "==", "left": {"fib": {"result": "type", "flags": ["daddr"]}}, "right": "local"}}
 *   {"dnat": {"family": "ip", "addr": {"map": {"key": {"numgen": …}, "data": {"set": [[0, {"concat": …}]]}}}}}
 *
 * A rule that holds anything else than what formatRule() says is not one of ours: undefined.
 *
 * @module
 */

import { bitsOf, type Cidr, familyOf, type IpAddress, parseIp } from "../../model/ip.ts";
import { cidrsOfRange } from "./intervals.ts";
import { asArray, asNumber, asObject, asString, at, type JsonObject, onlyMember } from "./json.ts";
import type { NatTarget, Rule, Selector, Statement, Verdict } from "./values.ts";

/** The rule of an object `{"expr": [...], "comment": "..."}`; undefined when we have no value for it. */
export function parseRule(json: JsonObject): Rule | undefined {
  const statements: Statement[] = [];
  for (const expression of asArray(json["expr"]) ?? []) {
    const statement = parseStatement(expression);
    if (statement === undefined) return undefined;
    statements.push(statement);
  }
  const comment = asString(json["comment"]);
  return comment === undefined ? { statements } : { statements, comment };
}

/** `{"goto": {"target": "x"}}`, `{"drop": null}` … */
export function parseVerdict(json: unknown): Verdict | undefined {
  const [kind, value] = onlyMember(json) ?? [];
  if (kind === "drop" || kind === "accept" || kind === "return") return { kind };
  const chain = asString(at(value, "target"));
  if ((kind === "goto" || kind === "jump") && chain !== undefined) return { kind, chain };
  return undefined;
}

/** A key or value of one or several parts, in canonical text. */
export function parseParts(json: unknown): readonly string[] {
  const parts = asArray(at(json, "concat")) ?? [json];
  return parts.map(formatPart);
}

function formatPart(part: unknown): string {
  return typeof part === "string" || typeof part === "number" ? `${part}` : JSON.stringify(part);
}

function parseStatement(json: unknown): Statement | undefined {
  const [kind, value] = onlyMember(json) ?? [];
  switch (kind) {
    case "match":
      return parseMatch(value);
    case "vmap":
      return parseVmap(value);
    case "dnat":
      return parseDnat(value);
    case "mangle":
      return parseMarkSet(value);
    case "set":
      return parseUpdate(value);
    case "masquerade":
      return at(value, "flags") === "fully-random" ? { kind } : undefined;
    case "reject":
      return parseReject(value);
    default:
      return parseVerdict(json);
  }
}

/** `reject` of its own is told as the ICMP message that the family's default is. */
function parseReject(value: unknown): Statement | undefined {
  const isDefault = value === null || at(value, "expr") === "port-unreachable";
  return isDefault ? { kind: "reject" } : undefined;
}

function parseMatch(value: unknown): Statement | undefined {
  const op = at(value, "op");
  const left = at(value, "left");
  const right = at(value, "right");
  const not = op === "!=";
  if (op === "in") return parseFlagMatch(left, right);
  const set = asString(right)?.startsWith("@") ? asString(right)?.slice(1) : undefined;
  if (set !== undefined && !not) {
    const key = parseSelectors(left);
    return key && { kind: "in-set", key, set };
  }
  return parseAddressMatch(left, { right, not }) ?? parseMetaMatch(left, { right, not });
}

function parseFlagMatch(left: unknown, right: unknown): Statement | undefined {
  const key = at(left, "ct", "key");
  if (key === "state" && right === "new") return { kind: "ct-state", state: "new" };
  if (key === "status" && right === "dnat") return { kind: "ct-status", status: "dnat" };
  return undefined;
}

interface RightSide {
  readonly right: unknown;
  readonly not: boolean;
}

function parseAddressMatch(left: unknown, { right, not }: RightSide): Statement | undefined {
  const field = at(left, "payload", "field");
  if (field !== "saddr" && field !== "daddr") return undefined;
  const set = asArray(at(right, "set"));
  const of = (set ?? [right]).map(parseNetworks);
  if (of.some((cidrs) => cidrs === undefined)) return undefined;
  const networks = of.flatMap((cidrs) => cidrs ?? []);
  // Neighbours come back as one network, still in a set; one alone would be no set.
  const isMerged = set !== undefined && networks.length === 1;
  return {
    kind: "address",
    side: field,
    ...(not && { not }),
    of: isMerged ? [...networks, ...networks] : networks,
  };
}

function parseMetaMatch(left: unknown, { right, not }: RightSide): Statement | undefined {
  const fibSide = at(left, "fib", "flags", 0);
  if (fibSide === "saddr" || fibSide === "daddr") {
    const isLocal = at(left, "fib", "result") === "type" && right === "local" && !not;
    return isLocal ? { kind: "fib-type", side: fibSide, type: "local" } : undefined;
  }
  const mask = asArray(at(left, "&"));
  if (mask !== undefined) {
    const bits = asNumber(mask[1]);
    const isTest = at(mask, 0, "meta", "key") === "mark" && not && right === 0;
    return isTest && bits !== undefined ? { kind: "mark-any", bits } : undefined;
  }
  switch (at(left, "meta", "key")) {
    case "mark": // the highest bit alone comes back as a prefix
      return not && at(right, "prefix", "addr") === 0 && at(right, "prefix", "len") === 1
        ? { kind: "mark-any", bits: 0x80000000 }
        : undefined;
    case "l4proto": {
      const protocol = protocolName(right);
      return protocol && !not ? { kind: "l4proto", protocol } : undefined;
    }
    case "iifname":
      return parseInterface(asString(right), not);
    default:
      return undefined;
  }
}

function parseInterface(text: string | undefined, not: boolean): Statement | undefined {
  if (text === undefined) return undefined;
  const prefix = text.endsWith("*");
  const name = prefix ? text.slice(0, -1) : text;
  return { kind: "iifname", ...(not && { not }), name, ...(prefix && { prefix }) };
}

function parseVmap(value: unknown): Statement | undefined {
  const map = asString(at(value, "data"));
  if (map !== undefined) {
    const key = parseSelectors(at(value, "key"));
    return key && map.startsWith("@") ? { kind: "vmap", key, map: map.slice(1) } : undefined;
  }
  const verdicts = parsePick(value)?.map(parseVerdict);
  const chains = verdicts?.map((verdict) => verdict?.kind === "goto" ? verdict.chain : undefined);
  if (chains === undefined || !chains.every((chain) => chain !== undefined)) return undefined;
  return { kind: "pick-chain", chains };
}

function parseDnat(value: unknown): Statement | undefined {
  const map = at(value, "addr", "map");
  if (map === undefined) {
    const target = parseTarget([at(value, "addr"), at(value, "port")]);
    return target && { kind: "dnat", target };
  }
  const targets = parsePick(map)?.map((entry) => parseTarget(asArray(at(entry, "concat")) ?? []));
  if (targets === undefined || !targets.every((target) => target !== undefined)) return undefined;
  return { kind: "pick-dnat", targets };
}

/** The values of `numgen random mod N map { 0 : …, 1 : … }`, if all of 0 to N-1 are there in order. */
function parsePick(value: unknown): readonly unknown[] | undefined {
  const generator = asObject(at(value, "key", "numgen"));
  const entries = asArray(at(value, "data", "set"));
  if (generator?.["mode"] !== "random" || generator["offset"] !== 0) return undefined;
  if (entries === undefined || generator["mod"] !== entries.length) return undefined;
  if (!entries.every((entry, i) => at(entry, 0) === i)) return undefined;
  return entries.map((entry) => at(entry, 1));
}

function parseTarget([address, port]: readonly unknown[]): NatTarget | undefined {
  const ip = parseAddress(address);
  return ip !== undefined && typeof port === "number" ? { ip, port } : undefined;
}

function parseMarkSet(value: unknown): Statement | undefined {
  if (at(value, "key", "meta", "key") !== "mark") return undefined;
  const [operator, operands] = onlyMember(at(value, "value")) ?? [];
  const bits = asNumber(at(operands, 1));
  if (at(operands, 0, "meta", "key") !== "mark" || bits === undefined) return undefined;
  if (operator === "|") return { kind: "mark-set", op: "or", bits };
  return operator === "^" ? { kind: "mark-set", op: "xor", bits } : undefined;
}

function parseUpdate(value: unknown): Statement | undefined {
  const set = asString(at(value, "set"));
  const key = at(value, "elem", "payload", "field");
  if (at(value, "op") !== "update" || set === undefined) return undefined;
  if (key !== "saddr" && key !== "daddr") return undefined;
  return { kind: "update", set: set.slice(1), key };
}

function parseSelectors(json: unknown): readonly Selector[] | undefined {
  const parts = asArray(at(json, "concat")) ?? [json];
  const key = parts.map(parseSelector);
  return key.every((selector) => selector !== undefined) ? key : undefined;
}

function parseSelector(json: unknown): Selector | undefined {
  const field = at(json, "payload", "field");
  const protocol = at(json, "payload", "protocol");
  if ((field === "saddr" || field === "daddr") && protocol !== "th") return field;
  if (field === "dport" && protocol === "th") return field;
  return at(json, "meta", "key") === "l4proto" ? "l4proto" : undefined;
}

function parseNetworks(json: unknown): readonly Cidr[] | undefined {
  const range = asArray(at(json, "range"));
  const first = parseAddress(range?.[0] ?? at(json, "prefix", "addr") ?? json);
  if (first === undefined) return undefined;
  if (range === undefined) {
    const prefixLength = asNumber(at(json, "prefix", "len")) ?? bitsOf(familyOf(first));
    return [{ address: first, prefixLength }];
  }
  const last = parseAddress(range[1]);
  return last && cidrsOfRange(first, last);
}

function parseAddress(json: unknown): IpAddress | undefined {
  if (typeof json !== "string") return undefined;
  try {
    return parseIp(json);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Without /etc/protocols nft prints numbers. */
export function protocolName(json: unknown): "tcp" | "udp" | "sctp" | undefined {
  switch (json) {
    case "tcp":
    case 6:
      return "tcp";
    case "udp":
    case 17:
      return "udp";
    case "sctp":
    case 132:
      return "sctp";
    default:
      return undefined;
  }
}
