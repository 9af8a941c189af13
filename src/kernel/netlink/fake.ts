/**
 * A fake kernel for tests: a function from request messages to the messages it answers with.
 *
 * It does what the kernel does around that function: sequence numbers, acknowledgements, errors
 * with the kernel's words, the end of a dump, one datagram per answer.
 *
 * @module
 */

import {
  HEADER_SIZE,
  LITTLE_ENDIAN,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
} from "./constants.ts";
import { NLM_F_DUMP, NLM_F_MULTI, NLMSG_DONE, NLMSG_ERROR } from "./constants.ts";
import { decodeMessages, type NetlinkMessage } from "./message.ts";
import type { NetlinkPort, Received } from "./port.ts";
import { MessageWriter } from "./writer.ts";

/** A message of the answer: its type, and what follows the header. */
export interface FakeReply {
  readonly type: number;
  readonly flags?: number;
  readonly body: (writer: MessageWriter) => void;
}

/** What the fake kernel says to one request. */
export type FakeAnswer =
  | { readonly replies: readonly FakeReply[] }
  | { readonly errno: number; readonly text?: string; readonly offset?: number };

/** The fake kernel: one request in, its answer out. */
export type FakeKernel = (request: NetlinkMessage) => FakeAnswer;

const MSGERR_TEXT = 1;
const MSGERR_OFFSET = 2;

/** Answers requests by a {@linkcode FakeKernel}; further received items can be put in by hand. */
export class FakePort implements NetlinkPort {
  /** What waits to be received. */
  readonly queue: Received[] = [];
  /** Requests of each datagram sent. */
  readonly sent: (readonly NetlinkMessage[])[] = [];
  readonly groups: number[] = [];
  #wake: (() => void) | undefined;

  constructor(readonly kernel: FakeKernel) {}

  [Symbol.dispose](): void {
    this.queue.length = 0;
  }

  send(datagram: Uint8Array<ArrayBuffer>): void {
    const requests = decodeMessages(datagram.slice());
    this.sent.push(requests);
    for (const request of requests) {
      this.queue.push(...answer(request, this.kernel(request)));
    }
  }

  receive(): Received {
    return this.queue.shift() ?? { kind: "nothing" };
  }

  readable(signal: AbortSignal): Promise<void> {
    if (this.queue.length > 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  join(group: number): void {
    this.groups.push(group);
  }

  /** Lets something arrive as a notification does. */
  deliver(received: Received): void {
    this.queue.push(received);
    this.#wake?.();
  }
}

/** One message as the kernel sends it. */
export function datagramOf(reply: FakeReply, sequence: number): Received {
  const writer = new MessageWriter();
  const mark = writer.beginMessage({ type: reply.type, flags: reply.flags ?? 0, sequence });
  reply.body(writer);
  writer.endMessage(mark);
  return { kind: "datagram", bytes: writer.written().slice() };
}

function answer(request: NetlinkMessage, said: FakeAnswer): Received[] {
  const { sequence } = request;
  if ("errno" in said) return [datagramOf(errorReply(said), sequence)];
  const isDump = (request.flags & NLM_F_DUMP) === NLM_F_DUMP;
  const flags = isDump ? NLM_F_MULTI : 0;
  const out = said.replies.map((reply) =>
    datagramOf({ ...reply, flags: (reply.flags ?? 0) | flags }, sequence)
  );
  const done = { type: NLMSG_DONE, flags, body: (writer: MessageWriter) => writer.raw(int32(0)) };
  if (isDump) out.push(datagramOf(done, sequence));
  else if ((request.flags & NLM_F_ACK) !== 0) {
    out.push(datagramOf(errorReply({ errno: 0 }), sequence));
  }
  return out;
}

function errorReply(
  { errno, text, offset }: { errno: number; text?: string; offset?: number },
): FakeReply {
  const hasWords = text !== undefined || offset !== undefined;
  return {
    type: NLMSG_ERROR,
    flags: NLM_F_CAPPED | (hasWords ? NLM_F_ACK_TLVS : 0),
    body(writer) {
      writer.raw(int32(-errno));
      writer.raw(new Uint8Array(HEADER_SIZE));
      if (text !== undefined) writer.string(MSGERR_TEXT, text);
      if (offset !== undefined) writer.u32(MSGERR_OFFSET, offset);
    },
  };
}

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, LITTLE_ENDIAN);
  return bytes;
}
