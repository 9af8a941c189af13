import { deepStrictEqual } from "node:assert/strict";
import { slice } from "../../test/support/builders.ts";
import { Store } from "../kube/store.ts";
import { FamilyChanges } from "./changes.ts";

const START_MS = 1_000;

function rig(): { store: Store; ipv4: FamilyChanges; ipv6: FamilyChanges } {
  const store = new Store();
  const ipv4 = new FamilyChanges("IPv4", START_MS);
  const ipv6 = new FamilyChanges("IPv6", START_MS);
  store.subscribe((event) => {
    ipv4.note(event, store);
    ipv6.note(event, store);
  });
  return { store, ipv4, ipv6 };
}

function changeSlice(store: Store, triggerTimeMs: number): void {
  const ports = [{ name: "", protocol: "TCP", port: triggerTimeMs % 60_000 } as const];
  store.apply({ kind: "EndpointSlice", key: "ns/web-1", object: slice({ triggerTimeMs, ports }) });
}

Deno.test("FamilyChanges keeps trigger times of its family, later than the start (EP-09)", () => {
  const { store, ipv4, ipv6 } = rig();
  for (const triggerTimeMs of [0, 999, 1_000, 1_001, 5_000]) changeSlice(store, triggerTimeMs);
  deepStrictEqual(ipv4.take().triggerTimesMs, [1_001, 5_000]);
  deepStrictEqual(ipv6.take().triggerTimesMs, []);
});

Deno.test("FamilyChanges counts a Service once until a batch is taken", () => {
  const { store, ipv4 } = rig();
  changeSlice(store, 2_000);
  changeSlice(store, 3_000);
  deepStrictEqual(ipv4.pending, { services: 0, endpoints: 1 });
  ipv4.take();
  deepStrictEqual(ipv4.pending, { services: 0, endpoints: 0 });
});

Deno.test("FamilyChanges takes back the batch of a failed sync, beside newer changes", () => {
  const { store, ipv4 } = rig();
  changeSlice(store, 2_000);
  const batch = ipv4.take();
  changeSlice(store, 3_000);
  ipv4.giveBack(batch);
  deepStrictEqual(ipv4.take().triggerTimesMs, [2_000, 3_000]);
});
