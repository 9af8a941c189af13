/**
 * What the kernel refused, with the words it gave.
 *
 * errno is the raw number of NLMSG_ERROR: libnl's own codes fold several of them into one.
 *
 * @module
 */

import { getSystemErrorMap } from "node:util";

/** What is known of a failure beside the operation. */
export interface NetlinkFailure {
  /** Positive, as in errno(3). */
  readonly errno: number;
  /** The kernel's own words, or ours when the kernel said nothing; "" for none. */
  readonly text?: string;
  /** Where in the request, in bytes from its header. */
  readonly offset?: number | undefined;
}

/** A request that failed. */
export class NetlinkError extends Error {
  override readonly name = "NetlinkError";
  readonly errno: number;
  /** Name of the errno: `ENOENT`. */
  readonly code: string;
  /** The kernel's own words; "" without. */
  readonly text: string;
  /** Where in the request the kernel stumbled; undefined: not told. */
  readonly offset: number | undefined;

  /** @param operation What was tried, as in "add virtual server 10.0.0.1:80/TCP". */
  constructor(readonly operation: string, failure: NetlinkFailure, options?: ErrorOptions) {
    const { code, meaning } = describe(failure.errno);
    const text = failure.text ?? "";
    const where = failure.offset === undefined ? "" : ` at byte ${failure.offset}`;
    super(`Cannot ${operation}: ${text === "" ? meaning : text} (${code}${where})`, options);
    this.errno = failure.errno;
    this.code = code;
    this.text = text;
    this.offset = failure.offset;
  }
}

/** Errno numbers of Linux that are asked about. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EAGAIN: 11,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EPROTO: 71,
  EMSGSIZE: 90,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EADDRNOTAVAIL: 99,
  ENOBUFS: 105,
} as const;

/** Whether the thing meant does not exist: IPVS says ESRCH of a service, rtnetlink ENODEV. */
export function isNotFound(error: unknown): error is NetlinkError {
  return hasErrno(error, [ERRNO.ENOENT, ERRNO.ESRCH, ERRNO.ENODEV, ERRNO.EADDRNOTAVAIL]);
}

/** Whether the thing is there already. */
export function isExisting(error: unknown): error is NetlinkError {
  return hasErrno(error, [ERRNO.EEXIST]);
}

/** Whether the kernel has no such protocol, family or message. */
export function isUnsupported(error: unknown): error is NetlinkError {
  return hasErrno(error, [ERRNO.EOPNOTSUPP, ERRNO.EPROTONOSUPPORT]);
}

function hasErrno(error: unknown, numbers: readonly number[]): error is NetlinkError {
  return error instanceof NetlinkError && numbers.includes(error.errno);
}

function describe(errno: number): { code: string; meaning: string } {
  // One number has two names, and the runtime knows the one that Linux does not print.
  if (errno === ERRNO.EOPNOTSUPP) return { code: "EOPNOTSUPP", meaning: "operation not supported" };
  const [code, meaning] = getSystemErrorMap().get(-errno) ?? [];
  return { code: code ?? `errno ${errno}`, meaning: meaning ?? "unknown error" };
}
