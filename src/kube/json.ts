/**
 * Reading JSON that may have any shape: a member of the wrong type reads as if it were missing.
 *
 * @module
 */

/** A JSON object of unknown content. */
export type JsonObject = Readonly<Record<string, unknown>>;

const NOTHING: JsonObject = Object.freeze({});

/** The value if it is an object, else an empty one. */
export function parseObject(value: unknown): JsonObject {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? value as JsonObject : NOTHING;
}

/** The value if it is a list, else an empty one. */
export function parseList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A member that is an object, else an empty one. */
export function objectAt(json: JsonObject, name: string): JsonObject {
  return parseObject(json[name]);
}

/** A member that is a list, else an empty one. */
export function listAt(json: JsonObject, name: string): readonly unknown[] {
  return parseList(json[name]);
}

/** A member that is text, else "". */
export function textAt(json: JsonObject, name: string): string {
  const value = json[name];
  return typeof value === "string" ? value : "";
}

/** A member that is missing, null or "" counts as not given. */
export function isGiven(json: JsonObject, name: string): boolean {
  const value = json[name];
  return value !== undefined && value !== null && value !== "";
}
