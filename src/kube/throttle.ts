/**
 * Requests per second that we allow ourselves: a bucket of `burst` tokens, refilled at `qps`, one
 * for each request; a watch takes one when it starts (INF-11).
 *
 * @module
 */

import type { Clock } from "./clock.ts";

/** What client-go takes when the configuration says 0. */
const DEFAULT_QPS = 5;
const DEFAULT_BURST = 10;

/** Hands out turns in the order in which they were asked for. */
export class Throttle {
  readonly #qps: number;
  readonly #burst: number;
  readonly #clock: Clock;
  #tokens: number;
  #filledMs: number;

  /** A negative `qps` means no limit. */
  constructor(options: { qps: number; burst: number; clock: Clock }) {
    this.#qps = options.qps || DEFAULT_QPS;
    this.#burst = options.burst || DEFAULT_BURST;
    this.#clock = options.clock;
    this.#tokens = this.#burst;
    this.#filledMs = options.clock.nowMs();
  }

  /** Resolves when a request may go out, or when the signal aborts. */
  async takeTurn(signal?: AbortSignal): Promise<void> {
    if (this.#qps < 0) return;
    const now = this.#clock.nowMs();
    const earned = Math.max(0, now - this.#filledMs) / 1000 * this.#qps;
    this.#tokens = Math.min(this.#burst, this.#tokens + earned) - 1;
    this.#filledMs = now;
    if (this.#tokens < 0) await this.#clock.sleep(-this.#tokens / this.#qps * 1000, signal);
  }
}
