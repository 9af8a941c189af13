/**
 * JSON values as the API server holds them, and safe ways to look into them.
 *
 * Objects arrive from outside and may be broken on purpose (seeded by a test), so nothing here
 * assumes a shape: a field of another type reads as absent.
 *
 * @module
 */

/** A JSON value. */
export type Json = string | number | boolean | null | Json[] | JsonObject;

/** A JSON object. */
export interface JsonObject {
  [field: string]: Json | undefined;
}

/** True for an object that is not an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a dotted path; undefined when it or a parent is absent. */
export function valueAt(from: Json | undefined, path: string): Json | undefined {
  let value: Json | undefined = from;
  for (const field of path.split(".")) {
    if (!isObject(value)) return undefined;
    value = value[field];
  }
  return value;
}

/** The string at a dotted path; "" when there is none. */
export function textAt(from: Json | undefined, path: string): string {
  const value = valueAt(from, path);
  return typeof value === "string" ? value : "";
}

/** The number at a dotted path; 0 when there is none. */
export function numberAt(from: Json | undefined, path: string): number {
  const value = valueAt(from, path);
  return typeof value === "number" ? value : 0;
}

/** The object at a dotted path; an empty one when there is none. */
export function objectAt(from: Json | undefined, path: string): JsonObject {
  const value = valueAt(from, path);
  return isObject(value) ? value : {};
}

/** The array at a dotted path; an empty one when there is none. */
export function listAt(from: Json | undefined, path: string): Json[] {
  const value = valueAt(from, path);
  return Array.isArray(value) ? value : [];
}

/** The strings of the array at a dotted path. */
export function textsAt(from: Json | undefined, path: string): string[] {
  return listAt(from, path).filter((item) => typeof item === "string");
}

/** The objects of the array at a dotted path. */
export function objectsAt(from: Json | undefined, path: string): JsonObject[] {
  return listAt(from, path).filter(isObject);
}

/** A deep copy of any serialisable object. Throws TypeError when it is not an object. */
export function decodeObject(value: unknown): JsonObject {
  const copy: unknown = JSON.parse(JSON.stringify(value) ?? "null");
  if (!isObject(copy)) throw new TypeError("Cannot use value as API object: not a JSON object");
  return copy;
}

/** Same content, whatever the order of fields. */
export function isEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => isEqual(item, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const fields = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...fields].every((field) => isEqual(a[field], b[field]));
}

/** Without the fields that Go's `omitempty` leaves out, except those to keep. */
export function withoutEmpty(object: JsonObject, keep: readonly string[] = []): JsonObject {
  const entries = Object.entries(object).filter(([field, value]) =>
    value !== undefined && (keep.includes(field) || !isEmpty(value))
  );
  return Object.fromEntries(entries);
}

function isEmpty(value: Json): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isObject(value)) return Object.keys(value).length === 0;
  return !value;
}
