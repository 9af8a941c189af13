/**
 * The generation of nf_tables: a number that grows by one with each commit of anybody in the
 * network namespace, both families and the nft tool included. See NFT_MSG_GETGEN in
 * linux/netfilter/nf_tables.h.
 *
 * @module
 */

import { Attributes } from "../netlink/attributes.ts";
import type { NetlinkChannel } from "../netlink/channel.ts";
import {
  NFGEN_SIZE,
  nfnetlinkType,
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_UNSPEC,
  writeNfgen,
} from "../netlink/nfnetlink.ts";
import type { OwnWrite, TableMonitor } from "./monitor.ts";

const GETGEN = nfnetlinkType(NFNL_SUBSYS_NFTABLES, 16);
const NFTA_GEN_ID = 1;

/**
 * The commits of this process. One for all families, as they share the generation. Whatever is
 * left of it without them, others did.
 */
export class CommitLedger {
  #commits = 0;
  #underWay = 0;
  /** Grows when a write ended badly: what it committed is not known. */
  #era = 0;

  /** A write begins. */
  startWrite(): OwnWrite {
    this.#underWay++;
    return {
      end: ({ commits }) => {
        this.#underWay--;
        if (commits === undefined) this.#era++;
        else this.#commits += commits;
      },
    };
  }

  /** What others did, as text to compare; undefined while a write of ours is under way. */
  othersAt(generation: number): string | undefined {
    if (this.#underWay > 0) return undefined;
    // 32 bits, as in the kernel.
    return `${this.#era}:${(generation - this.#commits) >>> 0}`;
  }
}

/** Notices commits of others by the generation. */
export class GenerationMonitor implements TableMonitor {
  readonly #channel: NetlinkChannel;
  readonly #ledger: CommitLedger;
  #read: string | undefined;

  constructor(channel: NetlinkChannel, ledger: CommitLedger) {
    this.#channel = channel;
    this.#ledger = ledger;
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
  }

  /** @inheritDoc */
  markRead(): void {
    this.#read = this.#others();
  }

  /** @inheritDoc */
  startWrite(): OwnWrite {
    return this.#ledger.startWrite();
  }

  /** @inheritDoc */
  hasChanged(): boolean | undefined {
    const others = this.#others();
    if (others === undefined) return undefined;
    // Read while the other family was writing: from here on we can tell.
    this.#read ??= others;
    return others !== this.#read;
  }

  #others(): string | undefined {
    return this.#ledger.othersAt(readGeneration(this.#channel));
  }
}

/** The generation now. Throws a NetlinkError when the kernel has no nf_tables. */
export function readGeneration(channel: NetlinkChannel): number {
  const reply = channel.query({
    operation: "read the generation of nf_tables",
    type: GETGEN,
    body: (writer) => writeNfgen(writer, NFPROTO_UNSPEC),
  });
  const attributes = new Attributes((reply?.payload ?? new Uint8Array()).subarray(NFGEN_SIZE));
  const generation = attributes.be32(NFTA_GEN_ID);
  if (generation === undefined) throw new SyntaxError("Cannot read the generation of nf_tables");
  return generation;
}
