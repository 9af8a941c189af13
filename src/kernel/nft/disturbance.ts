/**
 * Whether a table changed while it was read. The kernel knows one generation for all tables, and
 * calls every dump interrupted during which it changed; next to a program that writes ten times a
 * second a large table would never be read. What was written tells whether it was ours.
 *
 * @module
 */

import { NFGEN_SIZE } from "../netlink/nfnetlink.ts";
import type { Notification } from "../netlink/channel.ts";
import { FAMILY_NUMBER, MSG } from "./constants.ts";
import { attributesOf } from "./decode_table.ts";
import type { TableName } from "./values.ts";

/** What tells of changes. */
export interface Listener {
  /** Has joined the group of nf_tables. */
  readonly channel: { pending(): readonly Notification[] };
  /** Of all tables, now. */
  readonly generation: () => number | undefined;
  readonly breathe: () => Promise<void>;
}

/** How often to look for the news of a generation: the kernel tells after it has changed. */
const MAX_LOOKS = 100;

/** Listens from its making on. */
export class Disturbance {
  readonly #table: TableName;
  readonly #listener: Listener;
  readonly #generation: number | undefined;

  constructor(table: TableName, listener: Listener) {
    this.#table = table;
    this.#listener = listener;
    listener.channel.pending();
    this.#generation = listener.generation();
  }

  /** Whether what was read since may be wrong. */
  async happened(): Promise<boolean> {
    const now = this.#listener.generation();
    if (now === this.#generation) return false;
    for (let look = 0; look < MAX_LOOKS; look++) {
      const news = this.#listener.channel.pending();
      if (news.some((one) => this.#disturbs(one))) return true;
      if (news.some((one) => generationOf(one) === now)) return false;
      await this.#listener.breathe();
    }
    return true;
  }

  /** The dump of chains counts those of all tables of the family; all others those of the table. */
  #disturbs(news: Notification): boolean {
    if (news.kind === "lost") return true;
    const { type, payload } = news.message;
    if (type === MSG.NEWGEN) return false;
    const isChain = type === MSG.NEWCHAIN || type === MSG.DELCHAIN;
    if (isChain || type === MSG.DELTABLE) return payload[0] === FAMILY_NUMBER[this.#table.family];
    return attributesOf(payload, this.#table) !== undefined;
  }
}

function generationOf(news: Notification): number | undefined {
  if (news.kind === "lost" || news.message.type !== MSG.NEWGEN) return undefined;
  const { payload } = news.message;
  return new DataView(payload.buffer, payload.byteOffset).getUint32(NFGEN_SIZE + 4);
}
