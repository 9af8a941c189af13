/**
 * Generic netlink: families with names, whose numbers the kernel gives out.
 * See linux/genetlink.h.
 *
 * @module
 */

import { Attributes } from "./attributes.ts";
import type { NetlinkChannel } from "./channel.ts";
import type { MessageWriter } from "./writer.ts";

/** Bytes of struct genlmsghdr. */
export const GENL_HEADER_SIZE = 4;

/** Writes struct genlmsghdr. */
export function writeGenl(writer: MessageWriter, { command, version }: GenlHeader): void {
  writer.raw4(command, { second: version, bigEndian16: 0 });
}

/** struct genlmsghdr. */
export interface GenlHeader {
  readonly command: number;
  readonly version: number;
}

const GENL_ID_CTRL = 0x10;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;

/**
 * The message type of a family. The kernel loads the module of the family if it can.
 *
 * @throws {NetlinkError} ENOENT when the kernel has no such family.
 */
export function resolveFamily(channel: NetlinkChannel, name: string): number {
  const reply = channel.query({
    operation: `find generic netlink family ${name}`,
    type: GENL_ID_CTRL,
    body(writer) {
      writeGenl(writer, { command: CTRL_CMD_GETFAMILY, version: 1 });
      writer.string(CTRL_ATTR_FAMILY_NAME, name);
    },
  });
  const id = reply &&
    new Attributes(reply.payload.subarray(GENL_HEADER_SIZE)).u16(CTRL_ATTR_FAMILY_ID);
  if (id === undefined) throw new SyntaxError(`Cannot decode the number of family ${name}`);
  return id;
}
