import assert from "node:assert/strict";
import { encodeSocketAddress, openServiceManager } from "./notify.ts";

const ADDRESSES = [
  ["/run/x", [1, 0, 47, 114, 117, 110, 47, 120, 0]],
  ["@ab", [1, 0, 0, 97, 98]],
] as const;
for (const [path, want] of ADDRESSES) {
  Deno.test(`encodeSocketAddress() of ${path}`, () => {
    assert.deepEqual([...encodeSocketAddress(path)], [...want]);
  });
}

Deno.test("encodeSocketAddress() refuses a path that sun_path cannot hold", () => {
  assert.throws(() => encodeSocketAddress(`/${"x".repeat(107)}`), RangeError);
});

Deno.test("openServiceManager() without a socket says nothing and wants nothing", () => {
  const manager = openServiceManager({ socket: undefined, watchdogMicroseconds: undefined });
  manager.notify("READY=1");
  assert.equal(manager.watchdogMicroseconds, undefined);
});

Deno.test("openServiceManager() knows the period of the watchdog", () => {
  const manager = openServiceManager({ socket: "", watchdogMicroseconds: "30000000" });
  assert.equal(manager.watchdogMicroseconds, 30_000_000);
});
