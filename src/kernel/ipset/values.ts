/**
 * Sets of the kernel as values, in the words of ipset(8).
 *
 * Entries are texts in the form in which `ipset save` prints them, so that what is wanted and what
 * is there can be compared.
 *
 * @module
 */

import type { IpFamily } from "../../model/ip.ts";

/** Kinds of set whose entries are addresses; they have a family and a limit. */
export type HashType = "hash:ip" | "hash:ip,port" | "hash:ip,port,ip" | "hash:ip,port,net";

/** What a set is, without its entries. */
export type SetHeader =
  | {
    readonly name: string;
    readonly type: HashType;
    readonly family: IpFamily;
    /** How many entries it can hold. */
    readonly maxElements: number;
  }
  | {
    readonly name: string;
    /** All ports from 0 to 65535. */
    readonly type: "bitmap:port";
  };

/** A set that is wanted. */
export interface IpSet {
  readonly header: SetHeader;
  readonly entries: ReadonlySet<string>;
}

/** A set as the kernel has it, of any type. */
export interface ObservedSet {
  readonly name: string;
  readonly type: string;
  /** undefined: the type has none. */
  readonly family: IpFamily | undefined;
  /** Infinity: the type has no limit. */
  readonly maxElements: number;
  readonly entries: ReadonlySet<string>;
}

/** The longest name the kernel takes. */
export const MAX_NAME_LENGTH = 31;
/** How many entries a set can hold unless more are wanted. */
export const DEFAULT_MAX_ELEMENTS = 65_536;

/**
 * The limit a set needs for so many entries. Some room is left, because a full set refuses new
 * entries before it can be replaced.
 */
export function maxElementsFor(count: number): number {
  let limit = DEFAULT_MAX_ELEMENTS;
  while (count > limit * 0.9) limit *= 2;
  return limit;
}

/** `create NAME TYPE OPTIONS`, for `ipset restore`. */
export function formatCreate(header: SetHeader): string {
  if (header.type === "bitmap:port") return `create ${header.name} bitmap:port range 0-65535`;
  const family = header.family === "IPv4" ? "inet" : "inet6";
  return `create ${header.name} ${header.type} family ${family} hashsize 1024 ` +
    `maxelem ${header.maxElements}`;
}
