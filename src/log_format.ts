/**
 * One log line as text, in the two formats of kube-proxy (CLI-26):
 *
 *     I1122 17:12:26.123456    4711 sync.go:12] "Synced rules" family="IPv4" ms=3
 *     {"ts":1669137146123.5,"caller":"proxy/sync.go:12","msg":"Synced rules","v":0,"family":"IPv4"}
 *
 * @module
 */

import type { Fields } from "./log.ts";

/** What is to be said. */
export interface LogEntry {
  readonly severity: "error" | "warning" | "info";
  /** The `-v` level it belongs to. */
  readonly verbosity: number;
  readonly message: string;
  readonly fields: Fields;
  /** `proxy/sync.ts:12`, or "" when unknown. */
  readonly caller: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly pid: number;
}

/** A line without its end. */
export type LogFormat = (entry: LogEntry) => string;

/** klog's text. Times are local, as klog's are. */
export function formatKlog(entry: LogEntry): string {
  const severity = entry.severity.slice(0, 1).toUpperCase();
  const time = new Date(entry.timeMs);
  const pad = (value: number, width = 2) => String(value).padStart(width, "0");
  const day = pad(time.getMonth() + 1) + pad(time.getDate());
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map((n) => pad(n));
  const micros = pad(time.getMilliseconds(), 3) + pad(Math.floor(entry.timeMs % 1 * 1000), 3);
  const file = entry.caller.replace(/^.*\//, "");
  const head = `${severity}${day} ${clock.join(":")}.${micros} ${
    String(entry.pid).padStart(7)
  } ${file}]`;
  const fields = Object.entries(entry.fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${keyOf(name)}=${klogValue(value)}`);
  return `${head} ${JSON.stringify(entry.message)}${fields.join("")}`;
}

/** One JSON object. Errors carry no `v`, as those of kube-proxy. */
export function formatJson(entry: LogEntry): string {
  const fields = Object.entries(entry.fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [keyOf(name), value instanceof Error ? errorText(value) : value]);
  return JSON.stringify({
    ts: entry.timeMs,
    ...(entry.caller !== "" && { caller: entry.caller }),
    msg: entry.message,
    ...(entry.severity !== "error" && { v: entry.verbosity }),
    ...Object.fromEntries(fields),
  }, jsonValue);
}

/** klog calls errors `err`. */
function keyOf(name: string): string {
  return name === "error" ? "err" : name;
}

function klogValue(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = value instanceof Error ? errorText(value) : textOf(value);
  if (!text.includes("\n")) return JSON.stringify(text);
  // klog prints what has several lines as it is, between brackets.
  return `<\n${text.replace(/^/gm, "\t")}\n >`;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, jsonValue) ?? String(value);
}

function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  return value instanceof Error ? errorText(value) : value;
}

/** The message with those of its causes, as far as they say something new. */
function errorText(error: Error): string {
  let text = error.message || error.name;
  let cause = error.cause;
  for (let depth = 0; cause instanceof Error && depth < 5; depth++) {
    if (cause.message !== "" && !text.includes(cause.message)) text += `: ${cause.message}`;
    cause = cause.cause;
  }
  return text;
}
