/**
 * Whether two decoded objects say the same. Decoded objects are trees of plain objects, arrays and
 * primitives, so that an update which only touched labels, status or a resync compares equal.
 *
 * @module
 */

/** Whether `a` and `b` have the same content, without the members named in `ignored` at the top. */
export function isSameContent(
  a: unknown,
  b: unknown,
  ignored: readonly string[] = [],
): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) return Array.isArray(b) && isSameList(a, b);
  if (Array.isArray(b)) return false;
  return isSameRecord(Object.entries(a), new Map(Object.entries(b)), ignored);
}

function isSameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, i) => isSameContent(value, b[i]));
}

function isSameRecord(
  entries: readonly (readonly [string, unknown])[],
  other: ReadonlyMap<string, unknown>,
  ignored: readonly string[],
): boolean {
  if (entries.length !== other.size) return false;
  return entries.every(([name, value]) =>
    ignored.includes(name) || (other.has(name) && isSameContent(value, other.get(name)))
  );
}
