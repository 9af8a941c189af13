/**
 * What one sync cost and what went wrong in it.
 *
 * @module
 */

import type { Quarantined } from "../contract.ts";

/** Counted while a sync goes on. */
export class Tally {
  bytesWritten = 0;
  processes = 0;
  servicesChanged = 0;
  /** Everything was compared with the kernel. */
  full = false;
  /** Steps that failed as a whole. */
  readonly failures: Error[] = [];
  /** Reasons by ServicePortName.key. */
  readonly refused = new Map<string, string>();

  /** What the kernel would not take. */
  get quarantined(): readonly Quarantined[] {
    return [...this.refused].map(([key, reason]) => ({ key, reason }));
  }

  /** Runs a step; a failure is noted, not thrown. Returns whether it went well. */
  async attempt(step: () => Promise<void> | void): Promise<boolean> {
    try {
      await step();
      return true;
    } catch (error) {
      this.failures.push(
        error instanceof Error ? error : new Error(String(error), { cause: error }),
      );
      return false;
    }
  }
}
