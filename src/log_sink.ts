/**
 * The log of the program: LogTape underneath, lines on stderr.
 *
 * @module
 */

import { configureSync, getLogger, type LogRecord, type Sink } from "@logtape/logtape";
import type { Fields, Logger } from "./log.ts";
import { formatJson, formatKlog, type LogEntry, type LogFormat } from "./log_format.ts";

/** What is logged, and how. */
export interface LogOptions {
  readonly format: "text" | "json";
  /** `-v`: 0, 2, 4 … 9. */
  readonly verbosity: number;
}

const CATEGORY = ["vipd"];

const FORMATS: Readonly<Record<LogOptions["format"], LogFormat>> = {
  text: formatKlog,
  json: formatJson,
};

/** Sends all log lines of the program to stderr from now on. Returns the logger to write them. */
export function openLog({ format, verbosity }: LogOptions): Logger {
  configureSync({
    reset: true,
    sinks: { stderr: stderrSink(FORMATS[format]) },
    loggers: [
      { category: CATEGORY, sinks: ["stderr"], lowestLevel: "debug" },
      { category: ["logtape", "meta"], sinks: ["stderr"], lowestLevel: "error" },
    ],
  });
  const logger = getLogger(CATEGORY);
  const write = (
    severity: LogEntry["severity"],
    line: { verbosity: number; message: string; fields: Fields },
  ) => {
    const record = { line: { ...line, severity, caller: callerOf(new Error().stack) } };
    // LogTape takes {…} in a message for a placeholder: ours are constants and stay in the record.
    logger[severity](line.message.replaceAll("{", "{{"), record);
  };
  return {
    error: (message, fields = {}) => write("error", { verbosity: 0, message, fields }),
    warn: (message, fields = {}) => write("warning", { verbosity: 0, message, fields }),
    info: (message, fields = {}) => write("info", { verbosity: 0, message, fields }),
    v: (level, message, fields = {}) => {
      if (level > verbosity) return;
      const values = typeof fields === "function" ? fields() : fields;
      write("info", { verbosity: level, message, fields: values });
    },
  };
}

function stderrSink(format: LogFormat): Sink {
  const encoder = new TextEncoder();
  return (record) => {
    const bytes = encoder.encode(`${format(parseRecord(record))}\n`);
    try {
      for (let sent = 0; sent < bytes.length;) sent += Deno.stderr.writeSync(bytes.subarray(sent));
    } catch (error) {
      // Nobody reads our log any more, or its disk is full: no reason to stop forwarding traffic.
      if (!isSystemError(error)) throw error;
    }
  };
}

/** What a system call refused: ENOSPC, EPIPE, EAGAIN, … */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && "code" in error;
}

function parseRecord(record: LogRecord): LogEntry {
  const line = record.properties["line"] as Omit<LogEntry, "timeMs" | "pid"> | undefined;
  return {
    severity: "error",
    verbosity: 0,
    message: record.message.join(""),
    fields: line === undefined ? record.properties : {},
    caller: "",
    ...line,
    timeMs: record.timestamp,
    pid: Deno.pid,
  };
}

/** Frames of this file above the one that logs: `write`, and the method of the logger. */
const OWN_FRAMES = 2;

/**
 * `proxy/sync.ts:12`; `vipd.js:12` in an executable, where everything is one file: whoever parses
 * klog lines expects a place.
 */
function callerOf(stack: string | undefined): string {
  const frame = stack?.split("\n")[1 + OWN_FRAMES] ?? "";
  const [, file = "", line = ""] = /((?:[^/\s(]+\/)?[^/\s(:]+):(\d+):\d+\)?$/.exec(frame) ?? [];
  return file && `${file}:${line}`;
}
