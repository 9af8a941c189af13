/**
 * Networks as the kernel keeps them in an anonymous interval set: sorted, overlapping and adjacent
 * ones merged, as nft does before it sends them.
 *
 * @module
 */

import {
  bitsOf,
  type Cidr,
  familyOf,
  familyOfCidr,
  type IpAddress,
  ipFromBytes,
  ipToBytes,
} from "../../model/ip.ts";

/** First and last address, as numbers. */
export interface Interval {
  readonly first: bigint;
  readonly last: bigint;
}

/** The addresses of the networks as few intervals as possible, in ascending order. */
export function mergeCidrs(cidrs: readonly Cidr[]): readonly Interval[] {
  return mergeIntervals(cidrs.map(intervalOf));
}

/** Sorts and merges. */
export function mergeIntervals(intervals: readonly Interval[]): readonly Interval[] {
  const sorted = [...intervals].sort((a, b) => a.first < b.first ? -1 : a.first > b.first ? 1 : 0);
  const merged: Interval[] = [];
  for (const next of sorted) {
    const previous = merged.at(-1);
    if (previous !== undefined && next.first <= previous.last + 1n) {
      const last = next.last > previous.last ? next.last : previous.last;
      merged[merged.length - 1] = { first: previous.first, last };
    } else merged.push(next);
  }
  return merged;
}

/** The addresses of a network. */
export function intervalOf(cidr: Cidr): Interval {
  const bits = bitsOf(familyOfCidr(cidr));
  const first = numberOf(ipToBytes(cidr.address));
  return { first, last: first + (1n << BigInt(bits - cidr.prefixLength)) - 1n };
}

/** An interval as `nft list` prints it: an address, a network, or `first-last`. */
export function formatInterval({ first, last }: Interval, bits: 32 | 128): string {
  const address = (value: bigint) => ipFromBytes(bytesOf(value, bits));
  if (first === last) return address(first);
  const size = last - first + 1n;
  const isNetwork = (size & (size - 1n)) === 0n && first % size === 0n;
  if (!isNetwork) return `${address(first)}-${address(last)}`;
  return `${address(first)}/${bits - (size.toString(2).length - 1)}`;
}

/** The value in network order. */
export function bytesOf(value: bigint, bits: 32 | 128): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(bits / 8);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number((value >> BigInt(bits - 8 - 8 * i)) & 0xffn);
  }
  return bytes;
}

function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => value << 8n | BigInt(byte), 0n);
}

/** The fewest networks that are exactly the addresses from the first to the last. */
export function cidrsOfRange(first: IpAddress, last: IpAddress): readonly Cidr[] {
  const bits = bitsOf(familyOf(first));
  const end = numberOf(ipToBytes(last));
  const cidrs: Cidr[] = [];
  for (let start = numberOf(ipToBytes(first)); start <= end;) {
    let prefixLength: number = bits;
    const sizeOf = (length: number) => 1n << BigInt(bits - length);
    while (
      prefixLength > 0 && start % sizeOf(prefixLength - 1) === 0n &&
      start + sizeOf(prefixLength - 1) - 1n <= end
    ) prefixLength--;
    cidrs.push({ address: ipFromBytes(bytesOf(start, bits)), prefixLength });
    start += sizeOf(prefixLength);
  }
  return cidrs;
}
