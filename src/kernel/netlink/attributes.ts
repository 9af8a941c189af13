/**
 * Reads netlink attributes. Nothing is read outside of the bytes given; what does not fit is a
 * SyntaxError, never a guess.
 *
 * @module
 */

import { align, LITTLE_ENDIAN, NLA_TYPE_MASK } from "./constants.ts";

/** One attribute: its type without flags and its value. */
export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

const decoder = new TextDecoder();

/**
 * All attributes of the bytes in their order.
 *
 * @throws {SyntaxError} when an attribute is shorter than its header or longer than the bytes.
 */
export function decodeAttributes(bytes: Uint8Array): readonly Attribute[] {
  const attributes: Attribute[] = [];
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length;) {
    if (at + 4 > bytes.length) throw malformed(`${bytes.length - at} bytes are left over`);
    const length = view.getUint16(at, LITTLE_ENDIAN);
    const type = view.getUint16(at + 2, LITTLE_ENDIAN) & NLA_TYPE_MASK;
    if (length < 4 || at + length > bytes.length) {
      throw malformed(`type ${type} has length ${length} in ${bytes.length - at} bytes`);
    }
    attributes.push({ type, value: bytes.subarray(at + 4, at + length) });
    at += align(length);
  }
  return attributes;
}

/** Attributes by type; of those that come twice the last counts, as in the kernel's parser. */
export class Attributes {
  readonly #values = new Map<number, Uint8Array>();

  constructor(bytes: Uint8Array) {
    for (const { type, value } of decodeAttributes(bytes)) this.#values.set(type, value);
  }

  /** Whether there is one of this type. */
  has(type: number): boolean {
    return this.#values.has(type);
  }

  /** The value as it is. */
  bytes(type: number): Uint8Array | undefined {
    return this.#values.get(type);
  }

  /** One byte. */
  u8(type: number): number | undefined {
    return this.#sized(type, 1)?.[0];
  }

  /** 16 bits in host order. */
  u16(type: number): number | undefined {
    const value = this.#sized(type, 2);
    return value && viewOf(value).getUint16(0, LITTLE_ENDIAN);
  }

  /** 32 bits in host order. */
  u32(type: number): number | undefined {
    const value = this.#sized(type, 4);
    return value && viewOf(value).getUint32(0, LITTLE_ENDIAN);
  }

  /** 64 bits in host order. */
  u64(type: number): bigint | undefined {
    const value = this.#sized(type, 8);
    return value && viewOf(value).getBigUint64(0, LITTLE_ENDIAN);
  }

  /** 16 bits in network order. */
  be16(type: number): number | undefined {
    const value = this.#sized(type, 2);
    return value && viewOf(value).getUint16(0);
  }

  /** 32 bits in network order. */
  be32(type: number): number | undefined {
    const value = this.#sized(type, 4);
    return value && viewOf(value).getUint32(0);
  }

  /** 64 bits in network order. */
  be64(type: number): bigint | undefined {
    const value = this.#sized(type, 8);
    return value && viewOf(value).getBigUint64(0);
  }

  /** Text up to the first zero byte. */
  string(type: number): string | undefined {
    const value = this.#values.get(type);
    if (value === undefined) return undefined;
    const end = value.indexOf(0);
    return decoder.decode(end < 0 ? value : value.subarray(0, end));
  }

  /** The attributes inside of an attribute. */
  nested(type: number): Attributes | undefined {
    const value = this.#values.get(type);
    return value && new Attributes(value);
  }

  /** The list inside of an attribute, in order; empty when it is not there. */
  list(type: number): readonly Attribute[] {
    const value = this.#values.get(type);
    return value === undefined ? [] : decodeAttributes(value);
  }

  #sized(type: number, size: number): Uint8Array | undefined {
    const value = this.#values.get(type);
    if (value !== undefined && value.length < size) {
      throw malformed(`type ${type} has ${value.length} bytes instead of ${size}`);
    }
    return value;
  }
}

/** A view on exactly these bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function malformed(why: string): SyntaxError {
  return new SyntaxError(`Cannot decode netlink attributes: ${why}`);
}
