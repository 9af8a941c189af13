/**
 * What notifications of nf_tables say that others did to a table.
 *
 * @module
 */

import { Attributes } from "../netlink/attributes.ts";
import type { Notification } from "../netlink/channel.ts";
import type { NetlinkMessage } from "../netlink/message.ts";
import { NFGEN_SIZE } from "../netlink/nfnetlink.ts";
import { MSG } from "./constants.ts";
import { attributesOf } from "./decode_table.ts";
import type { TableName } from "./values.ts";

/** NFTA_GEN_* */
const GEN = { PROC_PID: 2, PROC_NAME: 3 } as const;

/** Who else changed the table; undefined when nobody did. */
export function foreignChange(
  notifications: readonly Notification[],
  { table, ownPort }: { readonly table: TableName; readonly ownPort: number | undefined },
): string | undefined {
  let author: number | undefined;
  for (const notification of notifications) {
    if (notification.kind === "lost") return "notifications were lost";
    const { message } = notification;
    if (message.port === ownPort) continue;
    if (message.type !== MSG.NEWGEN && attributesOf(message.payload, table) !== undefined) {
      author = message.port ?? 0;
    }
  }
  if (author === undefined) return undefined;
  const messages = notifications.flatMap((one) => one.kind === "message" ? [one.message] : []);
  return `changed by ${authorName(messages, author)}`;
}

/** A commit ends with a message that names the process. */
function authorName(messages: readonly NetlinkMessage[], port: number): string {
  const generation = messages.find((one) => one.type === MSG.NEWGEN && one.port === port);
  if (generation === undefined) return "another program";
  const attributes = new Attributes(generation.payload.subarray(NFGEN_SIZE));
  const name = attributes.string(GEN.PROC_NAME) ?? "another program";
  return `${name}, process ${attributes.be32(GEN.PROC_PID) ?? "unknown"}`;
}
