/**
 * What came back in one conversation, sorted by the sequence numbers of its requests. Answers to
 * earlier conversations that were given up are ignored.
 *
 * @module
 */

import { NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN } from "./constants.ts";
import type { Acknowledgement, NetlinkMessage } from "./message.ts";
import { decodeAcknowledgement, decodeDone } from "./message.ts";

/** Which answers belong to a conversation, and which one ends it. */
export interface Expectation {
  /** Sequence number of the first request. */
  readonly first: number;
  /** That of the last request, or of the last one that is acknowledged. */
  readonly last: number;
  /** A dump ends with NLMSG_DONE or an error, all else with the acknowledgement of the last. */
  readonly kind: "acknowledged" | "dump";
}

/** Collects answers until the conversation is over. */
export class Answers {
  readonly replies: NetlinkMessage[] = [];
  readonly acknowledgements = new Map<number, Acknowledgement>();
  /** Entries may be missing because the kernel changed its table while listing it. */
  interrupted = false;
  /** Something was lost: answers may be missing. */
  lossy = false;
  /** The answer that ends the conversation came. */
  ended = false;

  constructor(readonly expected: Expectation) {}

  /** The end came and nothing was lost before it. */
  get complete(): boolean {
    return this.ended && !this.lossy;
  }

  /** Takes one message. Throws a SyntaxError when it is malformed. */
  take(message: NetlinkMessage): void {
    const { type, sequence } = message;
    if (type === NLMSG_OVERRUN) this.lossy = true;
    if (sequence < this.expected.first || sequence > this.expected.last) return;
    if ((message.flags & NLM_F_DUMP_INTR) !== 0) this.interrupted = true;
    if (type === NLMSG_ERROR) {
      this.acknowledgements.set(sequence, decodeAcknowledgement(message));
      this.ended ||= sequence === this.expected.last;
    } else if (type === NLMSG_DONE) {
      this.acknowledgements.set(sequence, decodeDone(message));
      this.ended ||= this.expected.kind === "dump";
    } else if (type > NLMSG_OVERRUN) this.replies.push(message);
  }
}
