/**
 * Builds netlink messages in one buffer that grows, so that a batch of thousands costs no
 * allocation per message. Layout: linux/netlink.h, netlink(7).
 *
 * Integers are in host order; the `be` methods write network order, as netfilter wants.
 *
 * @module
 */

import { align, HEADER_SIZE, LITTLE_ENDIAN, NLA_F_NESTED } from "./constants.ts";

/** The fields of struct nlmsghdr a sender chooses. */
export interface MessageHeader {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
}

/** Longest attribute: its length is 16 bits wide and counts its own header of 4. */
const MAX_ATTRIBUTE = 0xffff;

const encoder = new TextEncoder();

/** A growing buffer of messages. Attribute methods take the attribute type, then the value. */
export class MessageWriter {
  #bytes = new Uint8Array(64 * 1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** What was written, as a view that is valid until the next write. */
  written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Forgets everything, keeps the memory. */
  reset(): void {
    this.#length = 0;
  }

  /** Opens a message; returns the mark for {@linkcode endMessage}. */
  beginMessage(header: MessageHeader): number {
    const start = this.#take(HEADER_SIZE);
    this.#view.setUint16(start + 4, header.type, LITTLE_ENDIAN);
    this.#view.setUint16(start + 6, header.flags, LITTLE_ENDIAN);
    this.#view.setUint32(start + 8, header.sequence, LITTLE_ENDIAN);
    this.#view.setUint32(start + 12, 0, LITTLE_ENDIAN); // port 0: the kernel fills in ours
    return start;
  }

  /** Closes the message that starts at the mark. */
  endMessage(mark: number): void {
    this.#view.setUint32(mark, this.#length - mark, LITTLE_ENDIAN);
  }

  /** Sets further flags of the message that starts at the mark. */
  addFlags(mark: number, flags: number): void {
    const old = this.#view.getUint16(mark + 6, LITTLE_ENDIAN);
    this.#view.setUint16(mark + 6, old | flags, LITTLE_ENDIAN);
  }

  /** Drops everything from the mark on. */
  truncate(mark: number): void {
    this.#length = mark;
  }

  /** Bytes outside of attributes, such as a fixed header; padded to 4. */
  raw(bytes: Uint8Array): void {
    const start = this.#take(align(bytes.length));
    this.#bytes.set(bytes, start);
    this.#bytes.fill(0, start + bytes.length, this.#length);
  }

  /** Four bytes outside of attributes: genlmsghdr, nfgenmsg. */
  raw4(first: number, rest: { second: number; bigEndian16: number }): void {
    const start = this.#take(4);
    this.#bytes[start] = first;
    this.#bytes[start + 1] = rest.second;
    this.#view.setUint16(start + 2, rest.bigEndian16);
  }

  /** One byte. */
  u8(type: number, value: number): void {
    const at = this.#attribute(type, 1);
    this.#view.setUint32(at, 0);
    this.#bytes[at] = value;
  }

  /** 16 bits in host order. */
  u16(type: number, value: number): void {
    const at = this.#attribute(type, 2);
    this.#view.setUint32(at, 0);
    this.#view.setUint16(at, value, LITTLE_ENDIAN);
  }

  /** 32 bits in host order. */
  u32(type: number, value: number): void {
    const at = this.#attribute(type, 4); // may replace the view
    this.#view.setUint32(at, value, LITTLE_ENDIAN);
  }

  /** 64 bits in host order. */
  u64(type: number, value: bigint): void {
    const at = this.#attribute(type, 8); // may replace the view
    this.#view.setBigUint64(at, value, LITTLE_ENDIAN);
  }

  /** 16 bits in network order. */
  be16(type: number, value: number): void {
    const at = this.#attribute(type, 2);
    this.#view.setUint32(at, 0);
    this.#view.setUint16(at, value);
  }

  /** 32 bits in network order. */
  be32(type: number, value: number): void {
    const at = this.#attribute(type, 4); // may replace the view
    this.#view.setUint32(at, value);
  }

  /** 64 bits in network order. */
  be64(type: number, value: bigint): void {
    const at = this.#attribute(type, 8); // may replace the view
    this.#view.setBigUint64(at, value);
  }

  /** Text that ends with a zero byte. */
  string(type: number, text: string): void {
    const length = text.length;
    const at = this.#attribute(type, length + 1);
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code === 0 || code > 0x7f) {
        this.#length = at - 4;
        this.#unicode(type, text);
        return;
      }
      this.#bytes[at + i] = code;
    }
    this.#bytes.fill(0, at + length, this.#length);
  }

  /** Bytes as they are. */
  bytes(type: number, value: Uint8Array): void {
    const at = this.#attribute(type, value.length);
    this.#bytes.set(value, at);
    this.#bytes.fill(0, at + value.length, this.#length);
  }

  /** An attribute that says something by being there. */
  flag(type: number): void {
    this.#attribute(type, 0);
  }

  /** Opens an attribute of attributes; returns the mark for {@linkcode close}. */
  open(type: number): number {
    const start = this.#take(4);
    this.#view.setUint16(start + 2, type | NLA_F_NESTED, LITTLE_ENDIAN);
    return start;
  }

  /** Closes the attribute that was opened at the mark. */
  close(mark: number): void {
    const length = this.#length - mark;
    if (length > MAX_ATTRIBUTE) throw tooLong(length);
    this.#view.setUint16(mark, length, LITTLE_ENDIAN);
  }

  #unicode(type: number, text: string): void {
    if (text.includes("\0")) throw new TypeError("A netlink string may not contain a zero byte");
    this.bytes(type, encoder.encode(`${text}\0`));
  }

  /** Reserves an attribute, writes its header, returns where the value goes. */
  #attribute(type: number, length: number): number {
    if (length + 4 > MAX_ATTRIBUTE) throw tooLong(length + 4);
    const start = this.#take(4 + align(length));
    this.#view.setUint16(start, length + 4, LITTLE_ENDIAN);
    this.#view.setUint16(start + 2, type, LITTLE_ENDIAN);
    return start + 4;
  }

  #take(length: number): number {
    const start = this.#length;
    const end = start + length;
    if (end > this.#bytes.length) this.#grow(end);
    this.#length = end;
    return start;
  }

  #grow(needed: number): void {
    const bytes = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

function tooLong(length: number): RangeError {
  return new RangeError(`A netlink attribute of ${length} bytes is longer than ${MAX_ATTRIBUTE}`);
}
