import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { nodeObject, service, slice, sliceEndpoint } from "../../test/support/builders.ts";
import { parseCidr, parseIp } from "../model/ip.ts";
import type { EndpointSlice, Service } from "../model/objects.ts";
import { type Change, keyOf, type StoreEvent } from "./changes.ts";
import { Store } from "./store.ts";

const ENDED = AbortSignal.abort(new Error("enough"));

function seen(object: Service): Change {
  return { kind: "Service", key: keyOf(object), object };
}

function seenSlice(object: EndpointSlice): Change {
  return { kind: "EndpointSlice", key: keyOf(object), object };
}

function goneSlice(object: EndpointSlice): Change {
  return { kind: "EndpointSlice", key: keyOf(object), object: undefined };
}

function recorded(store: Store): StoreEvent[] {
  const events: StoreEvent[] = [];
  store.subscribe((event) => events.push(event));
  return events;
}

Deno.test("Store.apply() keeps the object and tells nobody when the content is the same", () => {
  const store = new Store();
  ok(store.apply(seen(service())));
  const before = store.services.get("ns/web");
  const events = recorded(store);
  ok(!store.apply(seen(service())));
  strictEqual(store.services.get("ns/web"), before);
  deepStrictEqual(events, []);
});

Deno.test("Store.apply() names the changed Service", () => {
  const store = new Store();
  const events = recorded(store);
  store.apply(seen(service()));
  store.apply(seen(service({ externalIps: [parseIp("203.0.113.9")] })));
  store.apply({ kind: "Service", key: "ns/web", object: undefined });
  store.apply({ kind: "Service", key: "ns/web", object: undefined });
  const event = { kind: "Service", key: "ns/web", service: "ns/web" };
  deepStrictEqual(events, [event, event, event]);
  strictEqual(store.services.size, 0);
});

Deno.test("Store keeps slices of a Service in one array, replaced only when one changes", () => {
  const store = new Store();
  const [one, two] = [slice({ name: "web-1" }), slice({ name: "web-2", family: "IPv6" })];
  store.apply(seenSlice(one));
  store.apply(seenSlice(two));
  const before = store.slicesByService.get("ns/web");
  deepStrictEqual(before, [one, two]);
  store.apply(seenSlice(slice({ name: "web-2", family: "IPv6" })));
  strictEqual(store.slicesByService.get("ns/web"), before);
  const changed = slice({ name: "web-1", endpoints: [sliceEndpoint("10.0.0.1")] });
  store.apply(seenSlice(changed));
  deepStrictEqual(store.slicesByService.get("ns/web"), [changed, two]);
  strictEqual(store.slicesByService.get("ns/web")?.[1], two);
  deepStrictEqual(before, [one, two]);
});

Deno.test("Store takes a Service and its slices in any order, and slices that live longer", () => {
  const store = new Store();
  store.apply(seenSlice(slice()));
  store.apply(seen(service()));
  store.apply({ kind: "Service", key: "ns/web", object: undefined });
  strictEqual(store.slicesByService.get("ns/web")?.length, 1);
  store.apply(goneSlice(slice()));
  ok(!store.slicesByService.has("ns/web"));
});

Deno.test("Store moves a slice whose label names another Service, and tells both", () => {
  const store = new Store();
  store.apply(seenSlice(slice()));
  const events = recorded(store);
  store.apply(seenSlice(slice({ serviceName: "db" })));
  deepStrictEqual([...store.slicesByService.keys()], ["ns/db"]);
  deepStrictEqual(events.map((event) => event.service), ["ns/web", "ns/db"]);
});

Deno.test("Store passes on the trigger time of a changed slice, EP-09, not of an equal one", () => {
  const store = new Store();
  const events = recorded(store);
  const endpoints = [sliceEndpoint("10.0.0.1")];
  store.apply(seenSlice(slice({ triggerTimeMs: 5 })));
  store.apply(seenSlice(slice({ triggerTimeMs: 6 })));
  store.apply(seenSlice(slice({ triggerTimeMs: 7, endpoints })));
  store.apply(goneSlice(slice()));
  deepStrictEqual(events.map((event) => event.triggerTimeMs), [5, 7, undefined]);
});

Deno.test("Store.replace() removes what is not listed and keeps what is the same", () => {
  const store = new Store();
  const [web, db] = [service(), service({ name: "db" })];
  store.replace({ kind: "Service", objects: [web, db] });
  const events = recorded(store);
  const mail = service({ name: "mail" });
  store.replace({ kind: "Service", objects: [service(), mail] });
  deepStrictEqual([...store.services.keys()], ["ns/web", "ns/mail"]);
  strictEqual(store.services.get("ns/web"), web);
  deepStrictEqual(events.map((event) => event.key), ["ns/db", "ns/mail"]);
});

Deno.test("Store.replace() tells listeners when all of it is in place", () => {
  const store = new Store();
  const sizes: number[] = [];
  store.subscribe(() => sizes.push(store.services.size));
  store.replace({ kind: "Service", objects: [service(), service({ name: "db" })] });
  deepStrictEqual(sizes, [2, 2]);
});

Deno.test("Store.replace() of slices and ServiceCIDRs drops the others", () => {
  const store = new Store();
  store.replace({ kind: "EndpointSlice", objects: [slice(), slice({ name: "web-2" })] });
  store.replace({ kind: "EndpointSlice", objects: [slice({ name: "web-2" })] });
  deepStrictEqual(store.slicesByService.get("ns/web")?.map((each) => each.name), ["web-2"]);
  const cidr = { name: "kubernetes", cidrs: [parseCidr("172.30.0.0/16")] };
  store.replace({ kind: "ServiceCIDR", objects: [cidr] });
  strictEqual(store.serviceCidrs.get("kubernetes"), cidr);
  store.replace({ kind: "ServiceCIDR", objects: [] });
  strictEqual(store.serviceCidrs.size, 0);
});

Deno.test("Store keeps the last Node seen when it is deleted, NODE-09", () => {
  const store = new Store();
  const node = nodeObject();
  store.apply({ kind: "Node", key: "here", object: node });
  const events = recorded(store);
  store.apply({ kind: "Node", key: "here", object: undefined });
  store.replace({ kind: "Node", objects: [] });
  store.apply({ kind: "Node", key: "here", object: nodeObject() });
  strictEqual(store.node, node);
  deepStrictEqual(events, []);
});

Deno.test("Store.hasSynced() needs Services and EndpointSlices, SYNC-05, and nothing else", () => {
  const store = new Store();
  store.replace({ kind: "Node", objects: [] });
  store.replace({ kind: "Service", objects: [] });
  ok(!store.hasSynced());
  store.replace({ kind: "EndpointSlice", objects: [] });
  ok(store.hasSynced());
  ok(!store.hasSyncedKind("ServiceCIDR"));
});

Deno.test("Store.whenSynced() resolves at the second list, or rejects with the reason", async () => {
  const store = new Store();
  const synced = store.whenSynced(new AbortController().signal);
  await rejects(store.whenSynced(ENDED), /enough/);
  store.replace({ kind: "Service", objects: [] });
  store.replace({ kind: "EndpointSlice", objects: [] });
  await synced;
});

Deno.test("Store.whenNode() resolves with a Node that has an address, NODE-01", async () => {
  const store = new Store();
  const waiting = store.whenNode(new AbortController().signal);
  store.apply({ kind: "Node", key: "here", object: nodeObject({ addresses: [] }) });
  const node = nodeObject();
  store.apply({ kind: "Node", key: "here", object: node });
  strictEqual(await waiting, node);
});

Deno.test("Store.whenNode() goes on without a Node on abort or when none will come", async () => {
  const store = new Store();
  strictEqual(await store.whenNode(ENDED), undefined);
  const controller = new AbortController();
  const aborted = store.whenNode(controller.signal);
  controller.abort();
  strictEqual(await aborted, undefined);
  const absent = store.whenNode(new AbortController().signal);
  store.declareNodeAbsent();
  strictEqual(await absent, undefined);
});

Deno.test("Store.subscribe() returns what ends it", () => {
  const store = new Store();
  let count = 0;
  const unsubscribe = store.subscribe(() => count++);
  store.apply(seen(service()));
  unsubscribe();
  store.apply(seen(service({ name: "db" })));
  strictEqual(count, 1);
  ok(store.services.has("ns/db"));
});
