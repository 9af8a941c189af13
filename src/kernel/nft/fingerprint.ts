/**
 * Rules as text to compare: what the kernel tells of a rule, without what it adds of its own, equals
 * what we would tell the kernel.
 *
 * @module
 */

import { Attributes, decodeAttributes } from "../netlink/attributes.ts";
import type { MessageWriter } from "../netlink/writer.ts";
import { anonymousName, anonymousSet, significantName } from "./anonymous.ts";
import { DATA, EXPR, LIST_ELEM, RULE, VERDICT } from "./constants.ts";
import { writeRule } from "./encode.ts";
import type { SetReference } from "./expressions.ts";
import { commentOf } from "./userdata.ts";
import type { Rule, Statement, TableName } from "./values.ts";

/** How an attribute of an expression counts: a number (absent is 0), text, or data. */
type Kind = "number" | "byte" | "set" | "data";

/** The attributes that say what an expression does. All others follow from them. */
const SIGNIFICANT: Readonly<Record<string, Readonly<Record<number, Kind>>>> = {
  payload: { 1: "number", 2: "number", 3: "number", 4: "number" },
  meta: { 1: "number", 2: "number", 3: "number" },
  ct: { 1: "number", 2: "number" },
  fib: { 1: "number", 2: "number", 3: "number" },
  cmp: { 1: "number", 2: "number", 3: "data" },
  bitwise: { 1: "number", 2: "number", 3: "number", 4: "data", 5: "data", 6: "number" },
  lookup: { 1: "set", 2: "number", 3: "number", 5: "number" },
  numgen: { 1: "number", 2: "number", 3: "number", 4: "number" },
  immediate: { 1: "number", 2: "data" },
  nat: { 1: "number", 2: "number", 3: "number", 5: "number" },
  masq: { 1: "number", 2: "number", 3: "number" },
  reject: { 1: "number", 2: "byte" },
  dynset: { 1: "set", 3: "number", 4: "number", 5: "number", 7: "number" },
};

/** The fingerprint of a rule that the kernel told us of. */
export function fingerprintOf(rule: Attributes): string {
  const list = rule.bytes(RULE.EXPRESSIONS);
  const expressions = list === undefined ? [] : decodeAttributes(list);
  const parts = expressions.flatMap(({ type, value }) =>
    type === LIST_ELEM ? [expressionText(new Attributes(value))] : []
  );
  const comment = commentOf(rule.bytes(RULE.USERDATA));
  return `${parts.join(" ")}${comment === undefined ? "" : ` "${comment}"`}`;
}

/** The fingerprint that the kernel's rule has if it is this one. */
export function fingerprintRule(
  rule: Rule,
  { table, writer }: { readonly table: TableName; readonly writer: MessageWriter },
): string {
  writer.reset();
  const setOf = (statement: Statement): SetReference | undefined => {
    const set = anonymousSet(statement, table.family);
    return set && { id: 0, name: anonymousName(set, 0) };
  };
  writeRule(writer, { rule, table, setOf });
  return fingerprintOf(new Attributes(writer.written()));
}

function expressionText(expression: Attributes): string {
  const name = expression.string(EXPR.NAME) ?? "";
  const data = expression.nested(EXPR.DATA);
  const kinds = SIGNIFICANT[name];
  // An expression that we never write: the fingerprint is like none of ours.
  if (kinds === undefined || data === undefined) return `?${name}`;
  const values = Object.entries(kinds).map(([type, kind]) =>
    valueText(data, { type: Number(type), kind })
  );
  return `${name}(${values.join(",")})`;
}

function valueText(
  data: Attributes,
  { type, kind }: { readonly type: number; readonly kind: Kind },
): string {
  switch (kind) {
    case "number":
      return `${data.be32(type) ?? 0}`;
    case "byte":
      return `${data.u8(type) ?? 0}`;
    case "set":
      return significantName(data.string(type) ?? "");
    case "data":
      return dataText(data.nested(type));
  }
}

function dataText(data: Attributes | undefined): string {
  const verdict = data?.nested(DATA.VERDICT);
  if (verdict !== undefined) {
    return `${(verdict.be32(VERDICT.CODE) ?? 0) | 0}:${verdict.string(VERDICT.CHAIN) ?? ""}`;
  }
  return Array.from(data?.bytes(DATA.VALUE) ?? [], (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
