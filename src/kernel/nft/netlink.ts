/**
 * {@linkcode Nft} by netlink: a transaction is one batch of messages, half a millisecond for a change
 * where the nft tool takes 25. Nothing is read before writing.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import type { BatchResult, NetlinkChannel, NetlinkRequest } from "../netlink/channel.ts";
import { ERRNO, isNotFound, NetlinkError } from "../netlink/errors.ts";
import { nfnetlinkTransaction, NFNL_SUBSYS_NFTABLES, writeNfgen } from "../netlink/nfnetlink.ts";
import { MessageWriter } from "../netlink/writer.ts";
import type { Attributes } from "../netlink/attributes.ts";
import { ELEM_LIST, FAMILY_NUMBER, MSG, NFNLGRP_NFTABLES, TABLE } from "./constants.ts";
import {
  attributesOf,
  decodeChains,
  decodeElements,
  decodeSetHead,
  decodeTableComment,
  isDormant,
  type SetHead,
} from "./decode_table.ts";
import { Disturbance } from "./disturbance.ts";
import { encodeTransaction, OPERATION } from "./encode.ts";
import { fingerprintRule } from "./fingerprint.ts";
import { refusedTransaction, unavailable } from "./netlink_error.ts";
import { type Nft, NftError, type Written } from "./nft.ts";
import { foreignChange } from "./notice.ts";
import type { ObservedSet, ObservedTable } from "./observed.ts";
import {
  type Chain,
  type Element,
  elementKey,
  type TableName,
  type Transaction,
} from "./values.ts";

/** What the handle is made of. */
export interface NetlinkNftOptions {
  /** For requests. */
  readonly channel: NetlinkChannel;
  /** Opens another channel, for notifications. */
  readonly openChannel: () => NetlinkChannel;
  /** Lets other work of the process go on. */
  readonly breathe: () => Promise<void>;
}

/** How often a table is read again that others change meanwhile. */
const LIST_ATTEMPTS = 5;

/** nf_tables over a netlink channel. */
export class NetlinkNft implements Nft {
  /**
   * About 100 services of one chain and two elements. For each anonymous set the kernel walks through
   * all sets of the table, so among ten thousand services even these take it 50 ms.
   */
  readonly batchCommands = 500;
  readonly #options: NetlinkNftOptions;
  /** Begins anywhere: anonymous sets of earlier processes may still be there. */
  #unique = randomBytes(4).readUInt32BE();
  readonly #writer = new MessageWriter();

  constructor(options: NetlinkNftOptions) {
    this.#options = options;
  }

  transact(transaction: Transaction): Promise<Written> {
    return Promise.resolve().then(() => this.#transact(transaction));
  }

  #transact(transaction: Transaction): Written {
    const { requests, commandOfRequest } = encodeTransaction(transaction, () => this.#unique++);
    const subsystem = NFNL_SUBSYS_NFTABLES;
    const batch = nfnetlinkTransaction(requests, { subsystem, operation: OPERATION });
    const result = this.#send(batch, transaction);
    const [failure] = result.failures;
    if (failure !== undefined) {
      // The head of the batch is the first request of the conversation.
      const index = commandOfRequest[failure.index - 1];
      throw refusedTransaction(failure.error, { transaction, index });
    }
    if (!result.complete) throw unavailable(new NetlinkError(OPERATION, { errno: ERRNO.ENOBUFS }));
    return { bytes: result.bytesSent, processes: 0 };
  }

  /** What is too large as a whole may get through in parts. */
  #send(batch: readonly NetlinkRequest[], transaction: Transaction): BatchResult {
    try {
      return attempt(() => this.#options.channel.transact(batch));
    } catch (error) {
      const { cause } = error instanceof NftError ? error : {};
      const isTooLarge = cause instanceof NetlinkError && cause.errno === ERRNO.EMSGSIZE;
      throw isTooLarge ? refusedTransaction(cause, { transaction, index: undefined }) : error;
    }
  }

  async list(table: TableName): Promise<ObservedTable | undefined> {
    using channel = attempt(() => this.#options.openChannel());
    attempt(() => channel.join([NFNLGRP_NFTABLES]));
    const listener = {
      channel,
      generation: () => this.#generation(),
      breathe: this.#options.breathe,
    };
    for (let i = 1;; i++) {
      const disturbance = new Disturbance(table, listener);
      const observed = await this.#read(table);
      if (!await disturbance.happened() || i === LIST_ATTEMPTS) return observed;
      await this.breathe();
    }
  }

  fingerprints({ rules }: Chain, table: TableName): readonly string[] {
    return rules.map((rule) => fingerprintRule(rule, { table, writer: this.#writer }));
  }

  async watch(
    table: TableName,
    { onChange, signal }: {
      readonly onChange: (what: string) => void;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const ownPort = attempt(() => this.#options.channel.query(generationRequest))?.port;
    using channel = attempt(() => this.#options.openChannel());
    attempt(() => channel.join([NFNLGRP_NFTABLES]));
    for await (const notifications of channel.notifications(signal)) {
      const what = foreignChange(notifications, { table, ownPort });
      if (what !== undefined) onChange(what);
    }
  }

  breathe(): Promise<void> {
    return this.#options.breathe();
  }

  /** Asks the kernel anything. Throws {@linkcode NftError} when it does not answer us. */
  probe(): void {
    this.#generation();
  }

  close(): void {
    this.#options.channel[Symbol.dispose]();
  }

  #generation(): number | undefined {
    const reply = attempt(() => this.#options.channel.query(generationRequest));
    return reply && new DataView(reply.payload.buffer, reply.payload.byteOffset).getUint32(8);
  }

  async #read(table: TableName): Promise<ObservedTable | undefined> {
    const head = attempt(() => this.#readTable(table));
    if (head === undefined) return undefined;
    const chains = this.#dump(MSG.GETCHAIN, table);
    await this.breathe();
    const rules = this.#dump(MSG.GETRULE, table);
    await this.breathe();
    const comment = decodeTableComment(head);
    return {
      chains: decodeChains(chains, rules),
      sets: await this.#readSets(table),
      ...(comment !== undefined && { comment }),
      ...(isDormant(head) && { isDormant: true }),
    };
  }

  async #readSets(table: TableName): Promise<ReadonlyMap<string, ObservedSet>> {
    await this.breathe();
    const heads = this.#dump(MSG.GETSET, table).map(decodeSetHead)
      .filter((set) => set !== undefined);
    const sets = new Map<string, ObservedSet>();
    for (const head of heads) sets.set(head.name, this.#readSet(table, head));
    return sets;
  }

  #readTable(table: TableName): Attributes | undefined {
    try {
      const reply = this.#options.channel.query(tableRequest(MSG.GETTABLE, table));
      return reply && attributesOf(reply.payload, table);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #readSet(table: TableName, head: SetHead): ObservedSet {
    const elements = new Map<string, Element>();
    // Rules fill sets with a timeout; what is in them is no concern of ours.
    if (head.timeoutSeconds === undefined) {
      for (const list of this.#dump(MSG.GETSETELEM, table, { set: head.name })) {
        for (const element of decodeElements(list, head)) {
          elements.set(elementKey(element), element);
        }
      }
    }
    const { name: _, ...rest } = head;
    return { ...rest, elements };
  }

  #dump(
    type: number,
    table: TableName,
    { set }: { readonly set?: string } = {},
  ): readonly Attributes[] {
    const request = tableRequest(type, table, { ...(set && { set }) });
    // The kernel calls a dump interrupted when anybody changed any table; list() looks closer.
    return attempt(() => this.#options.channel.dump(request, { interrupted: "take" }))
      .map(({ payload }) => attributesOf(payload, table))
      .filter((attributes) => attributes !== undefined);
  }
}

const generationRequest: NetlinkRequest = {
  operation: "read the generation of nftables",
  type: MSG.GETGEN,
  body: (writer) => writeNfgen(writer, 0),
};

function tableRequest(
  type: number,
  { family, name }: TableName,
  { set }: { readonly set?: string } = {},
): NetlinkRequest {
  return {
    operation: `read nftables table ${family} ${name}`,
    type,
    body(writer) {
      writeNfgen(writer, FAMILY_NUMBER[family]);
      writer.string(TABLE.NAME, name);
      if (set !== undefined) writer.string(ELEM_LIST.SET, set);
    },
  };
}

function attempt<T>(conversation: () => T): T {
  try {
    return conversation();
  } catch (error) {
    throw error instanceof NetlinkError ? unavailable(error) : error;
  }
}
