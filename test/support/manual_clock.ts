/**
 * A clock for tests: time passes when the test says so, or as soon as somebody waits for a short
 * time, and chance is always 0.
 *
 * @module
 */

import type { Clock } from "../../src/kube/clock.ts";

interface Sleeper {
  readonly dueMs: number;
  wake(): void;
}

/** Starts at 2026-01-01T00:00:00Z. */
export class ManualClock implements Clock {
  /** All times anybody asked to sleep, in ms, in order. */
  readonly slept: number[] = [];
  readonly #skipsUpToMs: number;
  readonly #sleepers = new Set<Sleeper>();
  #nowMs = Date.UTC(2026, 0, 1);

  /** Sleeps up to `skipsUpToMs` end at once, and time passes by as much. Default: none. */
  constructor({ skipsUpToMs = -1 }: { skipsUpToMs?: number } = {}) {
    this.#skipsUpToMs = skipsUpToMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  random(): number {
    return 0;
  }

  /** Lets time pass and wakes whose time has come. */
  advance(ms: number): void {
    this.#nowMs += ms;
    for (const sleeper of [...this.#sleepers]) {
      if (sleeper.dueMs <= this.#nowMs) sleeper.wake();
    }
  }

  /** Lets time pass sleeper by sleeper, with room for each one to act and to sleep again. */
  async elapse(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      await settle();
      const dueMs = Math.min(...[...this.#sleepers].map((sleeper) => sleeper.dueMs));
      if (dueMs > endMs) return this.advance(endMs - this.#nowMs);
      this.advance(dueMs - this.#nowMs);
    }
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.slept.push(ms);
    if (signal?.aborted) return Promise.resolve();
    if (ms <= this.#skipsUpToMs) {
      this.advance(ms);
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const wake = () => {
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      const sleeper = { dueMs: this.#nowMs + ms, wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }
}

/** Lets everything run that waits for nothing but its turn. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}
