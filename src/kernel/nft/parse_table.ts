/**
 * A table out of `nft -j list table`:
 *
 *   {"nftables": [{"metainfo": …}, {"table": …}, {"chain": {"name": "services", …}},
 *     {"set": {"name": "cluster-ips", "type": "ipv4_addr", "elem": ["10.0.0.1", …]}},
 *     {"map": {"name": "service-ips", "type": ["ipv4_addr", "inet_proto", "inet_service"],
 *       "map": "verdict", "elem": [[{"concat": ["10.0.0.1", "tcp", 80]}, {"goto": {"target": "x"}}]]}},
 *     {"rule": {"chain": "services", "expr": […], "comment": "…"}}]}
 *
 * @module
 */

import { DYNAMIC_SIZE } from "./constants.ts";
import { asArray, asNumber, asObject, asString, at, type JsonObject, onlyMember } from "./json.ts";
import type { ObservedChain, ObservedSet, ObservedTable } from "./observed.ts";
import { parseParts, parseRule, parseVerdict, protocolName } from "./parse_rule.ts";
import { formatRule } from "./print.ts";
import {
  type BaseHook,
  type Element,
  elementKey,
  type NftFamily,
  type TableName,
} from "./values.ts";

/**
 * The table of that name in a listing; undefined when it is not there.
 *
 * @throws {SyntaxError} when the text is not what nft prints.
 */
export function parseTable(text: string, table: TableName): ObservedTable | undefined {
  const objects = asArray(at(JSON.parse(text), "nftables"));
  if (objects === undefined) throw new SyntaxError("Cannot parse nft listing: no list of objects");
  const chains = new Map<string, ObservedChain & { rules: string[] }>();
  const sets = new Map<string, ObservedSet>();
  let comment: string | undefined;
  let isThere = false;
  let isDormant = false;
  for (const object of objects) {
    const [kind, inner] = onlyMember(object) ?? [];
    const value = asObject(inner);
    const name = asString(value?.["name"]);
    if (value === undefined || !isOf(table, kind, value)) continue;
    if (kind === "table") {
      isThere = true;
      comment = asString(value["comment"]);
      // nft 1.0.6 prints the family in its place, but only if there are any.
      isDormant = value["flags"] !== undefined;
    } else if (kind === "chain") chains.set(name ?? "", parseChain(value));
    else if (kind === "set" || kind === "map") sets.set(name ?? "", parseSet(value, kind));
    else if (kind === "rule") {
      chains.get(asString(value["chain"]) ?? "")?.rules.push(fingerprint(value, table.family));
    }
  }
  if (!isThere) return undefined;
  return {
    chains,
    sets,
    ...(comment !== undefined && { comment }),
    ...(isDormant && { isDormant }),
  };
}

function isOf(table: TableName, kind: string | undefined, value: JsonObject): boolean {
  const name = kind === "table" ? value["name"] : value["table"];
  return name === table.name && value["family"] === table.family;
}

function parseChain(value: JsonObject): ObservedChain & { rules: string[] } {
  const base = parseBase(value);
  return base === undefined ? { rules: [] } : { base, rules: [] };
}

function parseBase(value: JsonObject): BaseHook | undefined {
  const priority = asNumber(value["prio"]);
  if (priority === undefined) return undefined;
  // Compared with our own hooks only: any other text is just different.
  const base = { type: value["type"], hook: value["hook"], priority } as BaseHook;
  return value["policy"] === "drop" ? { ...base, policy: "drop" } : base;
}

function fingerprint(value: JsonObject, family: NftFamily): string {
  const rule = parseRule(value);
  if (rule === undefined) return JSON.stringify(value["expr"]);
  try {
    return formatRule(rule, { family, listed: true });
  } catch (error) {
    // A rule of somebody else may hold names that we would not write.
    if (error instanceof RangeError) return JSON.stringify(value["expr"]);
    throw error;
  }
}

function parseSet(value: JsonObject, kind: "set" | "map"): ObservedSet {
  const type = asArray(value["type"]) ?? [value["type"]];
  const timeoutSeconds = asNumber(value["timeout"]);
  const elements = new Map<string, Element>();
  const listed = timeoutSeconds === undefined ? asArray(value["elem"]) ?? [] : [];
  for (const json of listed) {
    const element = parseElement(json, kind);
    elements.set(elementKey(element), element);
  }
  const oddity = setOddity(value, kind);
  return {
    kind,
    type: type.map(String),
    elements,
    ...(timeoutSeconds !== undefined && { timeoutSeconds }),
    ...(oddity !== undefined && { oddity }),
  };
}

/** nft 1.0.6 keeps quiet about `dynamic`. */
const USUAL_FLAGS: readonly unknown[] = ["timeout", "dynamic"];
const UNUSUAL = ["stmt", "gc-interval"];

function setOddity(value: JsonObject, kind: "set" | "map"): string | undefined {
  const flag = asArray(value["flags"])?.find((one) => !USUAL_FLAGS.includes(one));
  if (flag !== undefined) return `flags ${flag}`;
  const size = asNumber(value["size"]) ?? DYNAMIC_SIZE;
  const isSized = size !== DYNAMIC_SIZE ||
    value["size"] !== undefined && value["timeout"] === undefined;
  if (isSized) return `size ${size}`;
  if (kind === "map" && value["map"] !== "verdict") return "values";
  return UNUSUAL.find((name) => value[name] !== undefined);
}

/** `"10.0.0.1"`, or with a remark `{"elem": {"val": "10.0.0.1", "comment": "x"}}`. */
function parseElement(json: unknown, kind: "set" | "map"): Element {
  const [left, right] = kind === "map" ? asArray(json) ?? [] : [json];
  const key = canonicalKey(parseParts(at(left, "elem", "val") ?? left));
  const comment = asString(at(left, "elem", "comment"));
  const verdict = kind === "map" ? parseVerdict(right) : undefined;
  return {
    key,
    ...(verdict !== undefined && { verdict }),
    ...(comment !== undefined && { comment }),
  };
}

/** Protocols without a name in /etc/protocols; other parts are canonical already. */
function canonicalKey(parts: readonly string[]): readonly string[] {
  const protocol = parts.length - 2;
  return parts.map((part, i) =>
    i === protocol && /^\d+$/.test(part) ? protocolName(Number(part)) ?? part : part
  );
}
