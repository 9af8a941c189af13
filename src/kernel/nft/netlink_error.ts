/**
 * What the kernel says when it refuses, as {@linkcode NftError}.
 *
 * @module
 */

import { ERRNO, type NetlinkError } from "../netlink/errors.ts";
import { failedCommand, type NftErrno, NftError } from "./nft.ts";
import type { Transaction } from "./values.ts";

/** The words nft would use. */
const WORDS: Readonly<Record<NftErrno, string>> = {
  ENOENT: "No such file or directory",
  EEXIST: "File exists",
  EBUSY: "Device or resource busy",
  EPERM: "Operation not permitted",
};

/** A transaction that the kernel did not take; `index` is the first command at fault, if known. */
export function refusedTransaction(
  error: NetlinkError,
  { transaction, index }: {
    readonly transaction: Transaction;
    readonly index: number | undefined;
  },
): NftError {
  // The head of the batch is refused: no permission at all.
  if (error.errno === ERRNO.EPERM && index === undefined) return unavailable(error);
  const errno = errnoOf(error);
  const why = error.text || (errno === undefined ? error.code : WORDS[errno]);
  return new NftError(
    `Cannot apply ${failedCommand(transaction, index)}: ${why}`,
    { failure: "refused", errno, index },
    { cause: error },
  );
}

/** No conversation about nf_tables gets through. */
export function unavailable(error: NetlinkError): NftError {
  const message = error.errno === ERRNO.EPERM
    ? "Cannot use nftables: no permission; run as root or with CAP_NET_ADMIN"
    : error.message;
  return new NftError(message, { failure: "unavailable", errno: errnoOf(error) }, {
    cause: error,
  });
}

function errnoOf({ code }: NetlinkError): NftErrno | undefined {
  return isNftErrno(code) ? code : undefined;
}

function isNftErrno(code: string): code is NftErrno {
  return Object.hasOwn(WORDS, code);
}
