import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { ManualClock } from "../../test/support/manual_clock.ts";
import { Scheduler, type SchedulerOptions, type SyncOutcome } from "./scheduler.ts";

const HOUR = 3_600_000;

/** A scheduler whose syncs take some time and may fail, and the times they started at. */
class Rig {
  readonly clock = new ManualClock();
  readonly startedMs: number[] = [];
  readonly retries: number[] = [];
  readonly scheduler: Scheduler;
  readonly controller = new AbortController();
  distrusted = 0;
  takesMs = 10;
  failures = 0;
  outcome: SyncOutcome = {};
  readonly #beginMs = this.clock.nowMs();
  readonly #running: Promise<void>;

  constructor(options: Partial<SchedulerOptions> = {}) {
    this.scheduler = new Scheduler({
      sync: () => this.#sync(),
      distrust: () => void this.distrusted++,
      onFailure: (_error, retryMs) => void this.retries.push(retryMs),
      minIntervalMs: undefined,
      maxRetryMs: 30_000,
      verifyEveryMs: HOUR,
      clock: this.clock,
      ...options,
    });
    this.#running = this.scheduler.run(this.controller.signal);
  }

  async end(): Promise<void> {
    this.controller.abort();
    await this.clock.elapse(1_000);
    await this.#running;
  }

  async #sync(): Promise<SyncOutcome> {
    this.startedMs.push(this.clock.nowMs() - this.#beginMs);
    await this.clock.sleep(this.takesMs);
    if (this.failures-- > 0) throw new Error("refused");
    return this.outcome;
  }
}

Deno.test("Scheduler syncs at once at the start, then only when asked", async () => {
  const rig = new Rig();
  await rig.clock.elapse(60_000);
  deepStrictEqual(rig.startedMs, [0]);
  await rig.end();
});

Deno.test("Scheduler applies a change on a quiet node at once", async () => {
  const rig = new Rig();
  await rig.clock.elapse(1_000);
  rig.scheduler.request();
  await rig.clock.elapse(1_000);
  deepStrictEqual(rig.startedMs, [0, 1_000]);
  await rig.end();
});

Deno.test("Scheduler coalesces a burst for about as long as the last sync took", async () => {
  const rig = new Rig();
  rig.takesMs = 100;
  await rig.clock.elapse(1_000);
  for (let at = 0; at < 500; at += 10) {
    rig.scheduler.request();
    await rig.clock.elapse(10);
  }
  await rig.clock.elapse(1_000);
  deepStrictEqual(rig.startedMs, [0, 1_000, 1_200, 1_400, 1_600]);
  await rig.end();
});

Deno.test("Scheduler keeps an explicit minSyncPeriod from the end of a sync (SYNC-02)", async () => {
  const rig = new Rig({ minIntervalMs: 1_000 });
  await rig.clock.elapse(100);
  rig.scheduler.request();
  await rig.clock.elapse(5_000);
  rig.scheduler.request();
  await rig.clock.elapse(5_000);
  deepStrictEqual(rig.startedMs, [0, 1_010, 5_100]);
  await rig.end();
});

Deno.test("Scheduler tries a failed first sync again, further and further apart (SYNC-06)", async () => {
  const rig = new Rig({ maxRetryMs: 1_500 });
  rig.takesMs = 0;
  rig.failures = 6;
  await rig.clock.elapse(20_000);
  deepStrictEqual(rig.retries, [250, 500, 1_000, 1_500, 1_500, 1_500]);
  deepStrictEqual(rig.startedMs, [0, 250, 750, 1_750, 3_250, 4_750, 6_250]);
  await rig.end();
});

Deno.test("Scheduler begins with short retries again after a success", async () => {
  const rig = new Rig();
  rig.failures = 3;
  await rig.clock.elapse(20_000);
  rig.failures = 1;
  rig.scheduler.request();
  await rig.clock.elapse(20_000);
  deepStrictEqual(rig.retries, [250, 500, 1_000, 250]);
  await rig.end();
});

Deno.test("Scheduler takes up a change while it waits to retry", async () => {
  const rig = new Rig();
  rig.takesMs = 0;
  rig.failures = 8;
  await rig.clock.elapse(20_000);
  rig.failures = 0;
  const before = rig.startedMs.length;
  rig.scheduler.request();
  await rig.clock.elapse(0);
  strictEqual(rig.startedMs.length, before + 1);
  await rig.end();
});

Deno.test("Scheduler does not fail as often as changes come", async () => {
  const rig = new Rig();
  rig.takesMs = 0;
  rig.failures = Infinity;
  await rig.clock.elapse(20_000);
  const before = rig.startedMs.length;
  for (let at = 0; at < 5_000; at += 10) {
    rig.scheduler.request();
    await rig.clock.elapse(10);
  }
  ok(rig.startedMs.length - before <= 6, `${rig.startedMs.length - before} tries`);
  rig.failures = 0;
  await rig.end();
});

Deno.test("Scheduler verifies every hour through the same path", async () => {
  const rig = new Rig();
  await rig.clock.elapse(2 * HOUR + 1_000);
  deepStrictEqual(rig.startedMs, [0, HOUR, 2 * HOUR]);
  strictEqual(rig.distrusted, 2);
  await rig.end();
});

Deno.test("Scheduler distrusts and syncs at once after drift", async () => {
  const rig = new Rig();
  await rig.clock.elapse(1_000);
  rig.scheduler.requestVerification();
  await rig.clock.elapse(0);
  deepStrictEqual(rig.startedMs, [0, 1_000]);
  strictEqual(rig.distrusted, 1);
  await rig.end();
});

Deno.test("Scheduler syncs again when a report asks for it", async () => {
  const rig = new Rig();
  rig.outcome = { resyncAfterMs: 1_000 };
  await rig.clock.elapse(100);
  rig.outcome = {};
  await rig.clock.elapse(10_000);
  deepStrictEqual(rig.startedMs, [0, 1_010]);
  await rig.end();
});

Deno.test("Scheduler does not lose a change that comes during a sync", async () => {
  const rig = new Rig();
  await rig.clock.elapse(1_000);
  rig.scheduler.request();
  await rig.clock.elapse(5);
  rig.scheduler.request();
  await rig.clock.elapse(1_000);
  deepStrictEqual(rig.startedMs, [0, 1_000, 1_020]);
  await rig.end();
});

Deno.test("Scheduler ends at the signal, also while it waits", async () => {
  const rig = new Rig();
  await rig.clock.elapse(1_000);
  await rig.end();
  rig.scheduler.request();
  await rig.clock.elapse(1_000);
  ok(rig.startedMs.length === 1);
});
