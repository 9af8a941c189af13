/**
 * Keys, addresses and verdicts as the kernel's registers hold them.
 *
 * @module
 */

import { ipToBytes, parseIp } from "../../model/ip.ts";
import { LITTLE_ENDIAN } from "../netlink/constants.ts";
import type { MessageWriter } from "../netlink/writer.ts";
import { DATA, PROTOCOL_NUMBER, TYPE_SIZE, VERDICT, VERDICT_CODE } from "./constants.ts";
import type { Container, DataType, NatTarget, Verdict } from "./values.ts";

/** The bytes of a key; each part of a concatenation takes whole registers of 4 bytes. */
export function keyBytes({ type }: Container, key: readonly string[]): Uint8Array {
  if (type.length === 1) {
    const [only] = type;
    return only === undefined ? new Uint8Array() : partBytes(only, key[0] ?? "");
  }
  const bytes = new Uint8Array(type.reduce((sum, part) => sum + registerSize(part), 0));
  let at = 0;
  type.forEach((part, i) => {
    bytes.set(partBytes(part, key[i] ?? ""), at);
    at += registerSize(part);
  });
  return bytes;
}

/** The bytes that a part of a concatenation takes. */
export function registerSize(type: DataType): number {
  return (TYPE_SIZE[type] + 3) & ~3;
}

/** `address . port` as the value of a map. */
export function targetBytes({ ip, port }: NatTarget): Uint8Array {
  const address = ipToBytes(ip);
  const bytes = new Uint8Array(address.length + 4);
  bytes.set(address);
  bytes.set(portBytes(port), address.length);
  return bytes;
}

/** A port in network order. */
export function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff);
}

/** A number in the order of the host, such as a mark. */
export function hostBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, LITTLE_ENDIAN);
  return bytes;
}

/** Writes NFTA_DATA_VALUE inside of an attribute. */
export function writeValue(
  writer: MessageWriter,
  { type, value }: { readonly type: number; readonly value: Uint8Array },
): void {
  const mark = writer.open(type);
  writer.bytes(DATA.VALUE, value);
  writer.close(mark);
}

/** Writes NFTA_DATA_VERDICT inside of an attribute. */
export function writeVerdict(
  writer: MessageWriter,
  { type, verdict }: { readonly type: number; readonly verdict: Verdict },
): void {
  const outer = writer.open(type);
  const inner = writer.open(DATA.VERDICT);
  writer.be32(VERDICT.CODE, VERDICT_CODE[verdict.kind]);
  if ("chain" in verdict) writer.string(VERDICT.CHAIN, verdict.chain);
  writer.close(inner);
  writer.close(outer);
}

function partBytes(type: DataType, text: string): Uint8Array {
  switch (type) {
    case "ipv4_addr":
    case "ipv6_addr":
      return ipToBytes(parseIp(text));
    case "inet_proto":
      return Uint8Array.of(PROTOCOL_NUMBER[text] ?? Number(text));
    case "inet_service":
      return portBytes(Number(text));
  }
}
