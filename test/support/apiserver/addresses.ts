/**
 * Addresses and ranges as the API server checks them: strict spelling (no leading zeros, no zone,
 * no IPv4 in IPv6), and arithmetic on ranges to allocate from. Written without the model of vipd
 * on purpose: what is tested should not judge itself.
 *
 * @module
 */

import { isIP } from "node:net";

/** An address as a number and its number of bits. */
export interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** A range of addresses. */
export interface Range {
  readonly first: Address;
  readonly prefixLength: number;
}

/** Undefined when the text is not an address. */
export function parseAddress(text: string): Address | undefined {
  if (text.includes("%")) return undefined;
  switch (isIP(text)) {
    case 4:
      return { bits: 32, value: ipv4Value(text) };
    case 6:
      return { bits: 128, value: ipv6Value(text) };
    default:
      return undefined;
  }
}

function ipv4Value(text: string): bigint {
  return text.split(".").reduce((value, byte) => value << 8n | BigInt(byte), 0n);
}

function ipv6Value(text: string): bigint {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const plain = dotted
    ? `${dotted[1]}${(ipv4Value(dotted[2] ?? "") >> 16n).toString(16)}:${
      (ipv4Value(dotted[2] ?? "") & 0xffffn).toString(16)
    }`
    : text;
  const [head = "", tail] = plain.split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => "0");
  return [...front, ...zeros, ...back].reduce((value, g) => value << 16n | BigInt(`0x${g}`), 0n);
}

/** Canonical text: RFC 5952 for IPv6. */
export function formatAddress({ bits, value }: Address): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => value >> shift & 0xffn).join(".");
  const groups = Array.from(
    { length: 8 },
    (_, i) => (value >> BigInt(112 - 16 * i) & 0xffffn).toString(16),
  ).join(":");
  const runs = [...groups.matchAll(/(?<![\da-f])0(?::0)+(?![\da-f])/g)];
  const longest = runs.reduce<RegExpMatchArray | undefined>(
    (best, run) => run[0].length > (best?.[0].length ?? 0) ? run : best,
    undefined,
  );
  if (longest?.index === undefined) return groups;
  const before = groups.slice(0, longest.index).replace(/:$/, "");
  const after = groups.slice(longest.index + longest[0].length).replace(/^:/, "");
  return `${before}::${after}`;
}

/** Undefined when the text is not a range, or has bits set behind its prefix. */
export function parseRange(text: string): Range | undefined {
  const [base = "", length = "", ...more] = text.split("/");
  const first = parseAddress(base);
  const prefixLength = Number(length);
  if (!first || more.length > 0 || !/^(0|[1-9]\d*)$/.test(length) || prefixLength > first.bits) {
    return undefined;
  }
  return { first, prefixLength };
}

/** True when no bit behind the prefix is set. */
export function isNetworkAddress({ first, prefixLength }: Range): boolean {
  return (first.value & ((1n << BigInt(first.bits - prefixLength)) - 1n)) === 0n;
}

/** True when the address lies in the range. */
export function isInRange(range: Range, address: Address): boolean {
  const shift = BigInt(range.first.bits - range.prefixLength);
  return range.first.bits === address.bits &&
    range.first.value >> shift === address.value >> shift;
}

/** `IPv4` or `IPv6`. */
export function familyOf(address: Address): "IPv4" | "IPv6" {
  return address.bits === 32 ? "IPv4" : "IPv6";
}

const SPECIAL_RANGES = [
  ["0.0.0.0/32", "may not be unspecified"],
  ["::/128", "may not be unspecified"],
  ["127.0.0.0/8", "may not be in the loopback range"],
  ["::1/128", "may not be in the loopback range"],
  ["169.254.0.0/16", "may not be in the link-local range"],
  ["fe80::/10", "may not be in the link-local range"],
  ["224.0.0.0/24", "may not be in the link-local multicast range"],
  ["ff02::/16", "may not be in the link-local multicast range"],
] as const;

const SPECIAL = SPECIAL_RANGES.flatMap(([text, why]) => {
  const range = parseRange(text);
  return range ? [{ range, why }] : [];
});

/** Why an address cannot be a target; undefined when it can. */
export function specialReason(address: Address): string | undefined {
  return SPECIAL.find(({ range }) => isInRange(range, address))?.why;
}
