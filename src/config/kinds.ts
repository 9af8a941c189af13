/**
 * Reads values by kind: from a YAML document, where types must fit, and from flags, where all is
 * text.
 *
 * @module
 */

import { parseDuration } from "./duration.ts";
import type { FieldKind, ValueByKind } from "./fields.ts";

/** Values by kind; each throws a SyntaxError that says what was expected. */
export type Readers = { readonly [K in FieldKind]: (value: unknown) => ValueByKind[K] };

/** Go's yaml takes these YAML 1.1 words for booleans. */
const YAML_BOOLS: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ...["yes", "Yes", "YES", "on", "On", "ON", "y", "Y"].map((word) => [word, true] as const),
  ...["no", "No", "NO", "off", "Off", "OFF", "n", "N"].map((word) => [word, false] as const),
]);

/** For values of a document. */
export const DOCUMENT_READERS: Readers = {
  text: (value) => typeof value === "string" ? value : expected("a string"),
  int: (value) => isInt32(value) ? value : expected("a 32-bit integer"),
  float: (value) => typeof value === "number" ? value : expected("a number"),
  bool: (value) =>
    typeof value === "boolean" ? value : YAML_BOOLS.get(value) ?? expected("true or false"),
  duration: (value) =>
    typeof value === "string" ? readDuration(value) : expected('a duration such as "30s"'),
  // TimeOrMetaDuration of component-base: kubeadm writes `flushFrequency: 0`.
  looseDuration: (value) =>
    Number.isSafeInteger(value) ? Number(value) / 1e6 : DOCUMENT_READERS.duration(value),
  list: (value) =>
    Array.isArray(value) && value.every((item) => typeof item === "string")
      ? value
      : expected("a list of strings"),
  gates: (value) =>
    isRecord(value) && Object.values(value).every((enabled) => typeof enabled === "boolean")
      ? Object.fromEntries(Object.entries(value).map(([gate, enabled]) => [gate, enabled === true]))
      : expected("a map of gate names to true or false"),
  ignored: () => true,
};

/** For the text of a flag. Go's strconv.ParseBool decides what is a boolean. */
export const FLAG_READERS: Readers = {
  text: String,
  int: (value) => DOCUMENT_READERS.int(/^[-+]?\d+$/.test(String(value)) ? Number(value) : value),
  float: (value) => {
    const number = String(value).trim() === "" ? NaN : Number(value);
    return Number.isNaN(number) ? expected("a number") : number;
  },
  bool: (value) => {
    if (/^(1|t|T|TRUE|true|True)$/.test(String(value))) return true;
    if (/^(0|f|F|FALSE|false|False)$/.test(String(value))) return false;
    return expected("true or false");
  },
  duration: (value) => readDuration(String(value)),
  looseDuration: (value) => readDuration(String(value)),
  list: (value) => String(value) === "" ? [] : String(value).split(","),
  gates: (value) => Object.fromEntries(String(value).split(",").filter(Boolean).map(readGate)),
  ignored: () => true,
};

/** Whether the value is a plain object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readGate(pair: string): readonly [string, boolean] {
  const [name = "", enabled] = pair.split("=").map((part) => part.trim());
  if (enabled === undefined) return expected("Gate=true or Gate=false");
  return [name, FLAG_READERS.bool(enabled)];
}

function readDuration(text: string): number {
  try {
    return parseDuration(text);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    return expected('a duration such as "1h2m3.5s"');
  }
}

function isInt32(value: unknown): value is number {
  return typeof value === "number" && (value | 0) === value;
}

function expected(what: string): never {
  throw new SyntaxError(`must be ${what}`);
}
