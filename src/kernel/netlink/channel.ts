/**
 * Conversations with the kernel over one netlink port: batches, queries, dumps, notifications.
 *
 * The kernel works a request off while it takes it from us, so all answers wait when `send`
 * returns. Nothing waiting before the last answer therefore means that it was lost (ENOBUFS), never
 * that it is late: no conversation ever blocks.
 *
 * @module
 */

import { Answers, type Expectation } from "./answers.ts";
import { NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST } from "./constants.ts";
import { ERRNO, NetlinkError } from "./errors.ts";
import { type Acknowledgement, decodeMessages, type NetlinkMessage } from "./message.ts";
import type { NetlinkPort } from "./port.ts";
import { MessageWriter } from "./writer.ts";

/** One thing asked of the kernel. */
export interface NetlinkRequest {
  /** For errors, as in "add virtual server 10.0.0.1:80/TCP". */
  readonly operation: string;
  readonly type: number;
  /** Beside NLM_F_REQUEST. */
  readonly flags?: number;
  /** Writes what follows the header. */
  readonly body: (writer: MessageWriter) => void;
}

/** A request the kernel refused. */
export interface FailedRequest {
  /** Its place among the requests. */
  readonly index: number;
  readonly error: NetlinkError;
}

/** What became of a batch. */
export interface BatchResult {
  /** In the order of the requests. All others succeeded if `complete`. */
  readonly failures: readonly FailedRequest[];
  /** What the kernel said beside acknowledgements, as with NLM_F_ECHO. */
  readonly replies: readonly NetlinkMessage[];
  /** False: answers were lost, so more may have failed. Read the kernel's state again. */
  readonly complete: boolean;
  readonly bytesSent: number;
}

/** Something that came without being asked for. */
export type Notification =
  | { readonly kind: "message"; readonly message: NetlinkMessage }
  /** Notifications were lost. */
  | { readonly kind: "lost" };

/** Bounds of one send: errors for all of its requests must fit the receive buffer. */
const MAX_BATCH_BYTES = 128 * 1024;
const MAX_BATCH_REQUESTS = 1000;
const DUMP_ATTEMPTS = 10;

/** One conversation at a time. A channel that has joined groups is for notifications only. */
export class NetlinkChannel implements Disposable {
  readonly #port: NetlinkPort;
  readonly #writer = new MessageWriter();
  #sequence = 0;

  constructor(port: NetlinkPort) {
    this.#port = port;
  }

  [Symbol.dispose](): void {
    this.#port[Symbol.dispose]();
  }

  /**
   * Sends many requests in few system calls. A refused one does not stop the others.
   *
   * @throws {NetlinkError} when sending fails or an answer is malformed; any part may be done.
   */
  execute(requests: readonly NetlinkRequest[]): BatchResult {
    const failures: FailedRequest[] = [];
    const replies: NetlinkMessage[] = [];
    let complete = true;
    let bytesSent = 0;
    for (let start = 0; start < requests.length;) {
      const sent = this.#sendSome(requests, start);
      failures.push(...failuresOf(requests, { start, answers: sent.answers }));
      replies.push(...sent.answers.replies);
      complete &&= sent.answers.complete;
      bytesSent += sent.bytes;
      start += sent.count;
    }
    return { failures, replies, complete, bytesSent };
  }

  /**
   * Sends all requests as one datagram, as nf_tables wants its transactions. The requests say
   * themselves which of them the kernel acknowledges; the last that does ends the conversation.
   *
   * @throws {NetlinkError} when sending fails or an answer is malformed.
   */
  transact(requests: readonly NetlinkRequest[]): BatchResult {
    const first = this.#begin();
    let last = first;
    for (const [i, request] of requests.entries()) {
      this.#encode(request, request.flags ?? 0);
      if (((request.flags ?? 0) & NLM_F_ACK) !== 0) last = first + i;
    }
    const operation = requests[0]?.operation ?? "send an empty transaction";
    const bytesSent = this.#writer.length;
    const answers = this.#converse({ operation, expected: { first, last, kind: "acknowledged" } });
    const failures = failuresOf(requests, { start: 0, answers });
    // A transaction that is refused at its head acknowledges nothing else.
    const complete = answers.complete || (failures.length > 0 && !answers.lossy);
    return { failures, replies: answers.replies, complete, bytesSent };
  }

  /**
   * Asks for one thing.
   *
   * @returns The reply; undefined when the kernel only acknowledged.
   * @throws {NetlinkError} when refused, or when the answer was lost (ENOBUFS).
   */
  query(request: NetlinkRequest): NetlinkMessage | undefined {
    const { answers } = this.#sendSome([request], 0);
    throwIfRefused(request, answers);
    if (!answers.complete) throw lost(request);
    return answers.replies[0];
  }

  /**
   * Lists everything of a kind. Incomplete dumps are repeated, interrupted ones too unless told
   * otherwise.
   *
   * @throws {NetlinkError} when refused, or EINTR when no attempt got through undisturbed.
   */
  dump(
    request: NetlinkRequest,
    { interrupted: onInterrupt = "repeat" }: { readonly interrupted?: "repeat" | "take" } = {},
  ): readonly NetlinkMessage[] {
    let failure = lost(request);
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const answers = this.#dumpOnce(request);
      const isWhole = !answers.interrupted || onInterrupt === "take";
      if (answers.complete && isWhole) return answers.replies;
      failure = answers.complete ? interrupted(request) : lost(request);
    }
    throw failure;
  }

  /** Joins multicast groups; {@linkcode NetlinkChannel.notifications} yields what they say. */
  join(groups: readonly number[]): void {
    for (const group of groups) this.#port.join(group);
  }

  /** What the groups joined have said so far. */
  pending(): readonly Notification[] {
    return this.#receiveNotifications();
  }

  /** What the groups joined say, until abort. Waiting costs nothing. */
  async *notifications(signal: AbortSignal): AsyncGenerator<readonly Notification[]> {
    while (!signal.aborted) {
      await this.#port.readable(signal);
      const batch = this.#receiveNotifications();
      if (batch.length > 0) yield batch;
    }
  }

  #dumpOnce(request: NetlinkRequest): Answers {
    const first = this.#begin();
    this.#encode(request, (request.flags ?? 0) | NLM_F_DUMP);
    const expected: Expectation = { first, last: first, kind: "dump" };
    const answers = this.#converse({ operation: request.operation, expected });
    throwIfRefused(request, answers);
    return answers;
  }

  #receiveNotifications(): Notification[] {
    const batch: Notification[] = [];
    for (;;) {
      const received = this.#port.receive();
      if (received.kind === "nothing") return batch;
      batch.push(...received.kind === "datagram" ? decodeNotifications(received.bytes) : LOST);
    }
  }

  /** Sends as many requests from `start` on as one datagram should hold. */
  #sendSome(
    requests: readonly NetlinkRequest[],
    start: number,
  ): { answers: Answers; bytes: number; count: number } {
    const first = this.#begin();
    const end = Math.min(requests.length, start + MAX_BATCH_REQUESTS);
    let mark = 0;
    for (let i = start; i < end && this.#writer.length < MAX_BATCH_BYTES; i++) {
      const request = requests[i];
      if (request !== undefined) mark = this.#encode(request, request.flags ?? 0);
    }
    this.#writer.addFlags(mark, NLM_F_ACK);
    const bytes = this.#writer.length;
    const operation = requests[start]?.operation ?? "send nothing";
    const expected: Expectation = { first, last: this.#sequence, kind: "acknowledged" };
    const answers = this.#converse({ operation, expected });
    return { answers, bytes, count: expected.last - first + 1 };
  }

  /** Starts a conversation; returns the sequence number of its first request. */
  #begin(): number {
    // The number is 32 bits wide and 0 means "not an answer": start over long before it wraps.
    if (this.#sequence >= 0x4000_0000) this.#sequence = 0;
    this.#writer.reset();
    return this.#sequence + 1;
  }

  #encode(request: NetlinkRequest, flags: number): number {
    const sequence = ++this.#sequence;
    const header = { type: request.type, flags: flags | NLM_F_REQUEST, sequence };
    const mark = this.#writer.beginMessage(header);
    request.body(this.#writer);
    this.#writer.endMessage(mark);
    return mark;
  }

  #converse(
    { operation, expected }: { operation: string; expected: Expectation },
  ): Answers {
    const answers = new Answers(expected);
    try {
      this.#port.send(this.#writer.written());
      while (!answers.ended && this.#receiveInto(answers));
    } catch (cause) {
      this.#drain();
      if (cause instanceof NetlinkError) throw new NetlinkError(operation, cause, { cause });
      if (!(cause instanceof SyntaxError)) throw cause;
      const text = `the answer is malformed: ${cause.message}`;
      throw new NetlinkError(operation, { errno: ERRNO.EPROTO, text }, { cause });
    }
    return answers;
  }

  /** Takes one datagram; false when none waits. */
  #receiveInto(answers: Answers): boolean {
    const received = this.#port.receive();
    if (received.kind === "nothing") return false;
    if (received.kind === "datagram") {
      for (const message of decodeMessages(received.bytes)) answers.take(message);
    } else answers.lossy = true;
    return true;
  }

  /** Receives what is left, so that a dump that was given up does not block the next (EBUSY). */
  #drain(): void {
    while (this.#port.receive().kind !== "nothing");
  }
}

const LOST: readonly Notification[] = [{ kind: "lost" }];

function decodeNotifications(datagram: Uint8Array): readonly Notification[] {
  try {
    return decodeMessages(datagram).map((message) => ({ kind: "message", message }));
  } catch (error) {
    if (error instanceof SyntaxError) return LOST;
    throw error;
  }
}

function failuresOf(
  requests: readonly NetlinkRequest[],
  { start, answers }: { start: number; answers: Answers },
): FailedRequest[] {
  const failures: FailedRequest[] = [];
  for (const [sequence, { errno, text, offset }] of answers.acknowledgements) {
    const index = start + sequence - answers.expected.first;
    const request = requests[index];
    if (errno === 0 || request === undefined) continue;
    failures.push({ index, error: new NetlinkError(request.operation, { errno, text, offset }) });
  }
  return failures.sort((a, b) => a.index - b.index);
}

function throwIfRefused(request: NetlinkRequest, answers: Answers): void {
  const refusal: Acknowledgement | undefined = answers.acknowledgements.get(answers.expected.first);
  if (refusal !== undefined && refusal.errno !== 0) {
    throw new NetlinkError(request.operation, refusal);
  }
}

function lost(request: NetlinkRequest): NetlinkError {
  const text = "the answer of the kernel was lost";
  return new NetlinkError(request.operation, { errno: ERRNO.ENOBUFS, text });
}

function interrupted(request: NetlinkRequest): NetlinkError {
  const text = `the dump was interrupted ${DUMP_ATTEMPTS} times`;
  return new NetlinkError(request.operation, { errno: ERRNO.EINTR, text });
}
