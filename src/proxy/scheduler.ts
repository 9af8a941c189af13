/**
 * When to sync: one path for the first sync, changes, retries, drift and the hourly verification.
 *
 *     request() ──┐
 *     retry    ───┼──▶ due? ── not sooner than `gap` after the last sync ──▶ sync
 *     verify   ───┘
 *
 * The gap is minSyncPeriod when that is set (SYNC-02). Else it is as long as the last sync took: a
 * change on a quiet node is applied at once, and a burst costs at most half of one CPU.
 *
 * @module
 */

import type { Clock } from "./clock.ts";

/** What a successful sync says about the next one. */
export interface SyncOutcome {
  /** Sync again after this time though nothing changed. */
  readonly resyncAfterMs?: number | undefined;
}

/** How a {@linkcode Scheduler} works. */
export interface SchedulerOptions {
  /** One pass. Rejects when the kernel is not as it should be. */
  readonly sync: () => Promise<SyncOutcome>;
  /** Makes the next pass read the kernel. */
  readonly distrust: () => void;
  /** The error ends here; the next try comes at the latest after `retryMs`. */
  readonly onFailure: (error: unknown, retryMs: number) => void;
  /** undefined: as long as the last sync took. */
  readonly minIntervalMs: number | undefined;
  /** Retries are at most this far apart: syncPeriod. */
  readonly maxRetryMs: number;
  readonly verifyEveryMs: number;
  readonly clock: Clock;
}

const FIRST_RETRY_MS = 250;
const FAILING_GAP_MS = 1_000;

/** Runs the syncs of one family, one at a time. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  #isRequested = false;
  #failures = 0;
  #lastEndMs = -Infinity;
  #lastDurationMs = 0;
  #verifyAtMs = Infinity;
  /** A retry, or what the last report asked for. */
  #againAtMs = Infinity;
  #wake: (() => void) | undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Something changed. */
  request(): void {
    this.#isRequested = true;
    this.#wake?.();
  }

  /** Somebody else changed the kernel's state: verify it soon. */
  requestVerification(): void {
    this.#options.distrust();
    this.request();
  }

  /** Syncs whenever it is due, first of all now. Resolves after the signal; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    this.#isRequested = true;
    this.#verifyAtMs = this.#nowMs() + this.#options.verifyEveryMs;
    const wake = () => this.#wake?.();
    signal.addEventListener("abort", wake);
    while (!signal.aborted) {
      const waitMs = this.#dueAtMs() - this.#nowMs();
      if (waitMs > 0) await this.#sleep(waitMs);
      else await this.#pass();
    }
    signal.removeEventListener("abort", wake);
  }

  #dueAtMs(): number {
    const timerMs = Math.min(this.#verifyAtMs, this.#againAtMs);
    if (!this.#isRequested) return timerMs;
    return Math.min(timerMs, this.#lastEndMs + this.#gapMs());
  }

  /** A change may be what ends a failure, but a flood of changes must not be a flood of failures. */
  #gapMs(): number {
    const gapMs = this.#options.minIntervalMs ?? this.#lastDurationMs;
    return this.#failures === 0 ? gapMs : Math.max(gapMs, FAILING_GAP_MS);
  }

  async #pass(): Promise<void> {
    // Events that arrived together are taken up together: let what is at hand be decoded first.
    await this.#options.clock.sleep(0);
    const startMs = this.#nowMs();
    if (startMs >= this.#verifyAtMs) {
      this.#options.distrust();
      this.#verifyAtMs = startMs + this.#options.verifyEveryMs;
    }
    this.#isRequested = false;
    this.#againAtMs = Infinity;
    try {
      const { resyncAfterMs } = await this.#options.sync();
      this.#failures = 0;
      if (resyncAfterMs !== undefined) this.#againAtMs = this.#nowMs() + resyncAfterMs;
    } catch (error) {
      const retryMs = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, this.#options.maxRetryMs);
      this.#failures++;
      this.#againAtMs = this.#nowMs() + retryMs;
      this.#options.onFailure(error, retryMs);
    }
    this.#lastEndMs = this.#nowMs();
    this.#lastDurationMs = this.#lastEndMs - startMs;
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  /** Sleeps until the time is up or somebody wakes us. */
  async #sleep(ms: number): Promise<void> {
    const controller = new AbortController();
    this.#wake = () => controller.abort();
    // Timers of the platform count to 2^31 ms.
    await this.#options.clock.sleep(Math.min(ms, 2 ** 31 - 1), controller.signal);
    this.#wake = undefined;
  }
}
