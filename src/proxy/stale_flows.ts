/**
 * Deletes UDP flows that lead nowhere after a sync. Not being able to is told once and hinders
 * nothing: such flows end by themselves, later.
 *
 * @module
 */

import type { Conntrack } from "../kernel/conntrack/conntrack.ts";
import type { Logger } from "../log.ts";
import { needsConntrackCleanup, staleFlows } from "../model/conntrack.ts";
import type { Plan } from "../model/plan.ts";

/** What was done. */
export interface FlowCleanup {
  readonly deleted: number;
}

/** Opens the connection tracking table; it is opened once, at the first need. */
export type OpenConntrack = () => Promise<Conntrack>;

/** Cleans the flows of one family. */
export class StaleFlows {
  readonly #open: OpenConntrack;
  readonly #log: Logger;
  /** The last plan flows were cleaned for; undefined: look at all. */
  #cleaned: Plan | undefined;
  #hasFailed = false;

  constructor(open: OpenConntrack, log: Logger) {
    this.#open = open;
    this.#log = log;
  }

  /** Returns undefined when there was no reason to look, or no way. */
  async clean(plan: Plan): Promise<FlowCleanup | undefined> {
    if (!needsConntrackCleanup(this.#cleaned, plan)) return undefined;
    try {
      const conntrack = await this.#open();
      const stale = staleFlows(conntrack.list({ family: plan.family, protocol: "UDP" }), plan);
      if (stale.length > 0) conntrack.delete(stale);
      this.#cleaned = plan;
      this.#hasFailed = false;
      return { deleted: stale.length };
    } catch (error) {
      if (!this.#hasFailed) {
        this.#log.warn("Cannot clean stale flows, they end by themselves", {
          family: plan.family,
          error,
        });
      }
      this.#hasFailed = true;
      return undefined;
    }
  }
}
