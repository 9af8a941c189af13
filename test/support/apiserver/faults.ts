/**
 * Trouble on demand: what a test can make the API server do wrong.
 *
 * A fault strikes requests (`at: "request"`) or the next event of a running watch
 * (`at: "event"`), for one resource or all, a limited number of times or until it is cleared.
 *
 * | kind     | at a request                              | at an event of a watch                |
 * | -------- | ----------------------------------------- | ------------------------------------- |
 * | error    | Status with `code`, `retryAfterSeconds`   | ERROR event with that Status          |
 * | expired  | 410 (list); a watch starts with ERROR 410 | ERROR event with 410                  |
 * | drop     | connection closed without an answer       | connection reset in front of it       |
 * | end      | empty 200                                 | stream ends cleanly in front of it    |
 * | truncate | body is cut in the middle, connection dies| event is cut in the middle, stream ends |
 * | garbage  | 200 with HTML                             | a line that is not JSON               |
 * | delay    | answer comes `delayMs` later              | it and what follows wait for `delayMs`|
 * | hang     | never answers                             | stream stays open and silent for good |
 *
 * @module
 */

import type { Verb } from "./auth.ts";

/** The kinds of trouble. */
export const FAULT_KINDS = [
  "error",
  "expired",
  "drop",
  "end",
  "truncate",
  "garbage",
  "delay",
  "hang",
] as const;

/** One kind of trouble. */
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Trouble that a test asks for. */
export interface Fault {
  readonly kind: FaultKind;
  /** Default `request`. */
  readonly at?: "request" | "event";
  /** Plural, e.g. `services`. Default all. */
  readonly resource?: string;
  /** Default all verbs. */
  readonly verb?: Verb;
  /** How many times it strikes. Default: until cleared. */
  readonly count?: number;
  /** HTTP code of `error`: default 500. */
  readonly code?: number;
  readonly retryAfterSeconds?: number;
  /** Of `delay`: default 1,000. */
  readonly delayMs?: number;
}

/** A fault that is switched on. */
export interface ArmedFault {
  readonly fault: Fault;
  /** How many times it has struck. */
  readonly strikes: number;
}

/** Where a fault can strike. */
export interface FaultPoint {
  readonly at: "request" | "event";
  readonly resource: string;
  readonly verb: Verb;
}

/** The faults that are switched on. */
export class Faults {
  #armed: { fault: Fault; strikes: number }[] = [];

  /** Switches a fault on. Returns it with its count of strikes, which goes on counting. */
  add(fault: Fault): ArmedFault {
    const armed = { fault, strikes: 0 };
    this.#armed.push(armed);
    return armed;
  }

  /** Switches all faults off. */
  clear(): void {
    this.#armed = [];
  }

  /** What is switched on now. */
  list(): readonly ArmedFault[] {
    return this.#armed;
  }

  /** The fault that strikes here, if any; it is counted. */
  strike(point: FaultPoint): Fault | undefined {
    const armed = this.#armed.find(({ fault }) =>
      (fault.at ?? "request") === point.at &&
      (fault.resource ?? point.resource) === point.resource &&
      (fault.verb ?? point.verb) === point.verb
    );
    if (!armed) return undefined;
    armed.strikes++;
    if (armed.strikes >= (armed.fault.count ?? Infinity)) {
      this.#armed = this.#armed.filter((other) => other !== armed);
    }
    return armed.fault;
  }
}
