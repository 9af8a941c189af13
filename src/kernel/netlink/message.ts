/**
 * Reads netlink datagrams: messages, acknowledgements, errors and the end of dumps.
 *
 * @module
 */

import { Attributes, viewOf } from "./attributes.ts";
import { align, HEADER_SIZE, LITTLE_ENDIAN, NLM_F_ACK_TLVS, NLM_F_CAPPED } from "./constants.ts";

/** One message from the kernel. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** That of the request it answers; 0 for notifications. */
  readonly sequence: number;
  /** Address of the socket that caused it: ours in answers to us, the author's in notifications. */
  readonly port?: number;
  /** What follows the header. */
  readonly payload: Uint8Array;
}

/** What an NLMSG_ERROR says. */
export interface Acknowledgement {
  /** 0: done. Positive otherwise, as in errno(3). */
  readonly errno: number;
  /** The kernel's own words (NETLINK_EXT_ACK); "" without. */
  readonly text: string;
  /** Where in the request the kernel stumbled, in bytes from its header; undefined: not told. */
  readonly offset: number | undefined;
}

/** NLMSGERR_ATTR_* */
const ERROR_TEXT = 1;
const ERROR_OFFSET = 2;

/**
 * The messages of one datagram, as views on its bytes.
 *
 * @throws {SyntaxError} when a message is cut off or its length is no good.
 */
export function decodeMessages(datagram: Uint8Array): readonly NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  const view = viewOf(datagram);
  for (let at = 0; at < datagram.length;) {
    const left = datagram.length - at;
    if (left < HEADER_SIZE) throw malformed(`${left} bytes are left over`);
    const length = view.getUint32(at, LITTLE_ENDIAN);
    if (length < HEADER_SIZE || length > left) throw malformed(`length ${length} in ${left} bytes`);
    messages.push({
      type: view.getUint16(at + 4, LITTLE_ENDIAN),
      flags: view.getUint16(at + 6, LITTLE_ENDIAN),
      sequence: view.getUint32(at + 8, LITTLE_ENDIAN),
      port: view.getUint32(at + 12, LITTLE_ENDIAN),
      payload: datagram.subarray(at + HEADER_SIZE, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** Reads the payload of an NLMSG_ERROR. */
export function decodeAcknowledgement(message: NetlinkMessage): Acknowledgement {
  const { payload, flags } = message;
  if (payload.length < 4 + HEADER_SIZE) throw malformed(`an error of ${payload.length} bytes`);
  const view = viewOf(payload);
  const errno = -view.getInt32(0, LITTLE_ENDIAN);
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, text: "", offset: undefined };
  const repeated = (flags & NLM_F_CAPPED) !== 0 ? HEADER_SIZE : view.getUint32(4, LITTLE_ENDIAN);
  const attributes = new Attributes(
    payload.subarray(Math.min(4 + align(repeated), payload.length)),
  );
  const text = attributes.string(ERROR_TEXT) ?? "";
  return { errno, text, offset: attributes.u32(ERROR_OFFSET) };
}

/** Reads the payload of an NLMSG_DONE: a dump may end with an error. */
export function decodeDone(message: NetlinkMessage): Acknowledgement {
  const { payload } = message;
  const result = payload.length < 4 ? 0 : viewOf(payload).getInt32(0, LITTLE_ENDIAN);
  const errno = Math.max(0, -result);
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return { errno, text: "", offset: undefined };
  const attributes = new Attributes(payload.subarray(4));
  const text = attributes.string(ERROR_TEXT) ?? "";
  return { errno, text, offset: attributes.u32(ERROR_OFFSET) };
}

function malformed(why: string): SyntaxError {
  return new SyntaxError(`Cannot decode netlink message: ${why}`);
}
