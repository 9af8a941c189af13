/**
 * IP addresses and CIDRs as facts: parsed once at the door, canonical text ever after.
 *
 * Lenient where Kubernetes is: leading zeros in IPv4 octets are decimal, and an IPv4-mapped IPv6
 * address is the IPv4 address it wraps. Canonical IPv6 text follows RFC 5952.
 *
 * @module
 */

/** The two families, spelled as in the Service API. */
export type IpFamily = "IPv4" | "IPv6";

/** Both families, in the order in which a dual-stack node is served. */
export const IP_FAMILIES: readonly IpFamily[] = ["IPv4", "IPv6"];

/** Canonical text of an address, made only by {@linkcode parseIp} and {@linkcode ipFromBytes}. */
export type IpAddress = string & { readonly brand: "IpAddress" };

/** A network: its first address and the length of its prefix in bits. */
export interface Cidr {
  /** The address as written, host bits cleared. */
  readonly address: IpAddress;
  /** 0..32 or 0..128. */
  readonly prefixLength: number;
}

/** The family of an address. */
export function familyOf(ip: IpAddress): IpFamily {
  return ip.includes(":") ? "IPv6" : "IPv4";
}

/** The width of an address in bits: 32 or 128. */
export function bitsOf(family: IpFamily): 32 | 128 {
  return family === "IPv4" ? 32 : 128;
}

/** Nearly every address is canonical already; saying so is ten times faster than rewriting it. */
const CANONICAL_IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/**
 * Parses an address into its canonical text.
 *
 * @throws {SyntaxError} when the text is no address.
 */
export function parseIp(text: string): IpAddress {
  if (CANONICAL_IPV4.test(text)) return text as IpAddress;
  const bytes = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  if (bytes === undefined) throw new SyntaxError(`Cannot parse IP address ${quote(text)}`);
  return ipFromBytes(bytes);
}

/** The address of the bytes in network order; 16 bytes that map an IPv4 address become IPv4. */
export function ipFromBytes(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) return bytes.join(".") as IpAddress;
  if (bytes.length !== 16) {
    throw new RangeError(`An IP address has 4 or 16 bytes, not ${bytes.length}`);
  }
  if (isMappedIpv4(bytes)) return bytes.subarray(12).join(".") as IpAddress;
  return formatIpv6(bytes) as IpAddress;
}

/** The bytes of an address in network order: 4 or 16. */
export function ipToBytes(ip: IpAddress): Uint8Array<ArrayBuffer> {
  const bytes = ip.includes(":") ? parseIpv6(ip) : parseIpv4(ip);
  if (bytes === undefined) throw new TypeError(`Not a canonical IP address: ${quote(ip)}`);
  return bytes;
}

/**
 * Parses `address/length`. Host bits are cleared, as kube-proxy prints networks.
 *
 * @throws {SyntaxError} when the address or the length is no good.
 */
export function parseCidr(text: string): Cidr {
  const slash = text.indexOf("/");
  const length = slash < 0 ? "" : text.slice(slash + 1);
  const bytes = slash < 0 ? undefined : parseEither(text.slice(0, slash));
  const prefixLength = /^\d{1,3}$/.test(length) ? Number(length) : Infinity;
  if (bytes === undefined || prefixLength > bytes.length * 8) {
    throw new SyntaxError(`Cannot parse CIDR ${quote(text)}`);
  }
  // ::ffff:10.0.0.0/104 is the network 10.0.0.0/8.
  const mapped = bytes.length === 16 && isMappedIpv4(bytes) && prefixLength >= 96;
  const address = ipFromBytes(clearHostBits(bytes, prefixLength));
  return { address, prefixLength: mapped ? prefixLength - 96 : prefixLength };
}

/** `address/length`. */
export function formatCidr(cidr: Cidr): string {
  return `${cidr.address}/${cidr.prefixLength}`;
}

/** The family of a network. */
export function familyOfCidr(cidr: Cidr): IpFamily {
  return familyOf(cidr.address);
}

/** Whether the address lies in the network. Families never mix. */
export function containsIp(cidr: Cidr, ip: IpAddress): boolean {
  if (familyOf(cidr.address) !== familyOf(ip)) return false;
  const network = ipToBytes(cidr.address);
  const masked = clearHostBits(ipToBytes(ip), cidr.prefixLength);
  return network.every((byte, i) => byte === masked[i]);
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(ip: IpAddress): boolean {
  return ip.startsWith("127.") || ip === "::1";
}

/** 0.0.0.0 and ::. */
export function isUnspecified(ip: IpAddress): boolean {
  return ip === "0.0.0.0" || ip === "::";
}

/** 169.254.0.0/16 and fe80::/10. */
export function isLinkLocal(ip: IpAddress): boolean {
  return ip.startsWith("169.254.") || /^fe[89ab][0-9a-f]:/.test(ip);
}

/** `ip:port`, with brackets around an IPv6 address. */
export function formatHostPort(ip: IpAddress, port: number): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}...` : text);
}

function parseEither(text: string): Uint8Array<ArrayBuffer> | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): Uint8Array<ArrayBuffer> | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    if (!/^\d+$/.test(part) || Number(part) > 255) return undefined;
    bytes[i] = Number(part);
  }
  return bytes;
}

/** RFC 4291 text: eight groups, one `::`, or a dotted quad as the last two groups. */
function parseIpv6(text: string): Uint8Array<ArrayBuffer> | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half, i) => parseGroups(half, i === halves.length - 1));
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const groups = head.concat(Array(8).fill(0)).slice(0, 8);
  if (tail === undefined) {
    if (head.length !== 8) return undefined;
  } else {
    if (head.length + tail.length > 7) return undefined;
    groups.splice(8 - tail.length, tail.length, ...tail);
  }
  const bytes = new Uint8Array(16);
  groups.forEach((group, i) => bytes.set([group >> 8, group & 0xff], 2 * i));
  return bytes;
}

function parseGroups(text: string, mayEndInQuad: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(parseInt(part, 16));
      continue;
    }
    const quad = mayEndInQuad && i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (quad === undefined) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = quad;
    groups.push(a << 8 | b, c << 8 | d);
  }
  return groups;
}

function isMappedIpv4(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff &&
    bytes[11] === 0xff;
}

/** RFC 5952: lower case, the longest run of two or more zero groups shortened, the first of equals. */
function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from(
    { length: 8 },
    (_, i) => (bytes[2 * i] ?? 0) << 8 | (bytes[2 * i + 1] ?? 0),
  );
  let longest = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > longest.length) longest = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (longest.length < 2) return hex.join(":");
  const end = longest.start + longest.length;
  return `${hex.slice(0, longest.start).join(":")}::${hex.slice(end).join(":")}`;
}

function clearHostBits(bytes: Uint8Array, prefixLength: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(bytes, (byte, i) => {
    const kept = Math.min(8, Math.max(0, prefixLength - 8 * i));
    return byte & (0xff00 >> kept);
  });
}
