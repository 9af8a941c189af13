/**
 * Whether this node forwards traffic by the rules it should have: /readyz is 200 only after the
 * first complete sync of every family (vipd's answer to SYNC-13), and says what is missing.
 *
 * @module
 */

import { type HttpReply, jsonReply } from "./http.ts";

/** Collects what has to happen before this node is ready. */
export class Readiness {
  readonly #missing = new Set<string>();

  constructor(needed: readonly string[]) {
    for (const need of needed) this.#missing.add(need);
  }

  /** One more thing to wait for. */
  need(what: string): void {
    this.#missing.add(what);
  }

  /** It has happened. */
  met(what: string): void {
    this.#missing.delete(what);
  }

  /** Whether this has not happened yet. */
  isMissing(what: string): boolean {
    return this.#missing.has(what);
  }

  /** Whether nothing is missing. */
  isReady(): boolean {
    return this.#missing.size === 0;
  }

  /** Answers /readyz. */
  reply(): HttpReply {
    const body = { ready: this.isReady(), missing: [...this.#missing] };
    return jsonReply(this.isReady() ? 200 : 503, JSON.stringify(body));
  }
}
