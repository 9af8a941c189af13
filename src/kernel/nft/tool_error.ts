/**
 * What nft says when it fails, as {@linkcode NftError}:
 *
 *   /dev/stdin:3:1-43: Error: Could not process rule: No such file or directory
 *   add rule ip kube-proxy services goto nowhere
 *   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
 *
 * A transaction is printed with one command in a line, so the line is the command.
 *
 * @module
 */

import type { ExecError } from "../exec/run.ts";
import { failedCommand, type NftErrno, NftError } from "./nft.ts";
import type { Transaction } from "./values.ts";

/** strerror() of the errors that callers ask about. */
const ERRNO: readonly (readonly [string, NftErrno])[] = [
  ["No such file or directory", "ENOENT"],
  ["File exists", "EEXIST"],
  ["Device or resource busy", "EBUSY"],
  ["Operation not permitted", "EPERM"],
];

/** The error of a transaction that the tool did not bring about. */
export function transactionError(error: ExecError, transaction: Transaction): NftError {
  const unavailable = unavailableError(error);
  if (unavailable !== undefined) return unavailable;
  const { line, reason } = firstComplaint(error.stderr);
  const index = line === undefined ? undefined : line - 1;
  const why = reason ?? (error.stderr.trim() || error.message);
  return new NftError(
    `Cannot apply ${failedCommand(transaction, index)}: ${why}`,
    { failure: "refused", errno: errnoOf(why), index },
    { cause: error },
  );
}

/** The error of a listing. */
export function listingError(error: ExecError): NftError {
  const why = firstComplaint(error.stderr).reason ?? error.message;
  return unavailableError(error) ??
    new NftError(`Cannot list nftables: ${why}`, { failure: "unavailable", errno: errnoOf(why) }, {
      cause: error,
    });
}

function unavailableError(error: ExecError): NftError | undefined {
  const message = unavailableReason(error);
  if (message === undefined) return undefined;
  return new NftError(message, { failure: "unavailable", errno: errnoOf(error.stderr) }, {
    cause: error,
  });
}

function unavailableReason(error: ExecError): string | undefined {
  if (error.failure === "not-found") {
    return "Cannot find the nft tool: install the package nftables, version 1.0.1 or newer";
  }
  if (error.failure === "timeout") {
    return "Cannot use the nft tool: it gave no answer in time and was ended";
  }
  if (/you must be root|cache initialization failed: Operation not permitted/.test(error.stderr)) {
    return "Cannot use the nft tool: no permission; run as root or with CAP_NET_ADMIN";
  }
  return undefined;
}

function firstComplaint(
  stderr: string,
): { readonly line?: number; readonly reason?: string } {
  const match = /^[^\s:]*:(\d+):[\d\-]*:? Error: (.*)$/m.exec(stderr);
  if (match !== null) return { line: Number(match[1]), reason: match[2] ?? "" };
  const bare = /^(?:Error|internal:.*?Error): (.*)$/m.exec(stderr);
  return bare === null ? {} : { reason: bare[1] ?? "" };
}

function errnoOf(text: string): NftErrno | undefined {
  return ERRNO.find(([words]) => text.includes(words))?.[1];
}
