/**
 * Whether two decoded objects say the same. Decoded objects are trees of plain objects, arrays and
 * primitives, so that an update which only touched labels, status or a resync compares equal.
 *
 * @module
 */

import { type JsonObject, parseObject } from "./json.ts";

/** Whether `a` and `b` have the same content. */
export function isSameContent(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) return Array.isArray(b) && isSameList(a, b);
  if (Array.isArray(b)) return false;
  return isSameRecord(parseObject(a), parseObject(b));
}

function isSameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, i) => isSameContent(value, b[i]));
}

function isSameRecord(a: JsonObject, b: JsonObject): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isSameContent(a[name], b[name]));
}
