/**
 * What iptables-restore says when it fails, read in one place. Samples:
 *
 *     iptables-restore: line 14 failed
 *     iptables-nft-restore v1.8.9 (nf_tables):
 *     line 3: RULE_APPEND failed (Invalid argument): rule in chain KUBE-SVC-ABC
 *     Error occurred at line: 3
 *     Another app is currently holding the xtables lock. Stopped waiting after 5s.
 *
 * @module
 */

import { ExecError } from "../exec/run.ts";

/** A restore that did not happen. */
export class RestoreError extends Error {
  override readonly name = "RestoreError";

  constructor(
    /** The table of the line that failed; undefined when the tool did not name a line. */
    readonly table: string | undefined,
    /** Lines of the input that the tool named, from 1. */
    readonly lines: readonly number[],
    /** The lines around the first of them, each with its number. */
    readonly excerpt: string,
    options: { cause: ExecError },
  ) {
    super(describe(table, lines, options.cause), options);
  }
}

/** Somebody else held the xtables lock for as long as the tool waited. Nothing was changed. */
export class LockBusyError extends Error {
  override readonly name = "LockBusyError";

  constructor(readonly command: string, options: { cause: ExecError }) {
    super(`Cannot run "${command}": another process holds the xtables lock`, options);
  }
}

/** Lines before and after the failed one that a person is shown. */
const CONTEXT_LINES = 3;

/** The error behind a failed restore of `text`. Errors of other kinds are returned as they are. */
export function restoreFailure(error: unknown, text: string): unknown {
  if (!(error instanceof ExecError) || error.failure !== "exit") return error;
  if (isLockBusy(error)) return new LockBusyError(error.command, { cause: error });
  const lines = failedLines(error.stderr);
  const first = lines[0];
  if (first === undefined) return new RestoreError(undefined, [], "", { cause: error });
  const input = text.split("\n");
  return new RestoreError(tableOfLine(input, first), lines, excerptOf(input, first), {
    cause: error,
  });
}

/** Whether a tool gave up because another one held the lock. */
export function isLockBusy(error: ExecError): boolean {
  return error.code === 4 && /xtables lock/i.test(error.stderr);
}

/** The lines of its input that the tool complained about. */
export function failedLines(stderr: string): readonly number[] {
  const numbers = [...stderr.matchAll(/\bline:? (\d+)(?::| failed|\s|$)/g)].map(([, n]) =>
    Number(n)
  );
  return [...new Set(numbers)];
}

function tableOfLine(input: readonly string[], number: number): string | undefined {
  for (let at = Math.min(number, input.length) - 1; at >= 0; at--) {
    const line = input[at];
    if (line?.startsWith("*")) return line.slice(1);
  }
  return undefined;
}

function excerptOf(input: readonly string[], number: number): string {
  const from = Math.max(0, number - 1 - CONTEXT_LINES);
  return input.slice(from, number + CONTEXT_LINES)
    .map((line, i) => `${from + i + 1}: ${line}`).join("\n");
}

function describe(table: string | undefined, lines: readonly number[], cause: ExecError): string {
  const where = table === undefined ? "iptables" : `iptables table ${JSON.stringify(table)}`;
  const said = cause.stderr.replace(/\s*Try `[^\n]*/g, "").replace(/\s+/g, " ").trim();
  const line = lines.length > 0 ? `line ${lines.join(", ")} failed` : "the tool failed";
  return `Cannot restore ${where}: ${line}${said && ` (${said})`}`;
}
