import assert from "node:assert/strict";
import { pause } from "./pause.ts";

Deno.test("pause() resolves after the time and leaves no listener behind", async () => {
  const { signal } = new AbortController();
  await pause(1, signal);
});

Deno.test("pause() resolves at once when the signal aborts, also when it did before", async () => {
  const controller = new AbortController();
  const waiting = pause(2 ** 30, controller.signal);
  controller.abort();
  await waiting;
  await pause(2 ** 30, controller.signal);
  assert.ok(controller.signal.aborted);
});
