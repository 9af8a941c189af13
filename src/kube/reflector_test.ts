import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { ManualClock } from "../../test/support/manual_clock.ts";
import { type Fields, type Logger, SILENT } from "../log.ts";
import { ApiError } from "./api_error.ts";
import type { ListPage } from "./client.ts";
import type { JsonObject } from "./json.ts";
import { reflect } from "./reflector.ts";
import { RESOURCES } from "./resources.ts";
import { Store } from "./store.ts";

/** What the server says to one request: pages, lines, then maybe an error, or silence. */
interface Reply {
  readonly pages?: readonly ListPage[];
  readonly lines?: readonly string[];
  readonly error?: Error;
  /** The watch stays open for more than a minute, or until it is aborted. */
  readonly stays?: boolean;
  /** How long the clock runs before the end of the watch, in ms. */
  readonly lastsMs?: number;
}

interface Script {
  readonly store: Store;
  readonly clock: ManualClock;
  /** Query of each request, "list" or the version that a watch starts from. */
  readonly asked: string[];
  readonly queries: Readonly<Record<string, string>>[];
  readonly logged: { message: string; fields: Fields }[];
}

/** Lets a reflector of a kind talk to replies until they are used up. */
async function play(replies: readonly Reply[], kind = "Service"): Promise<Script> {
  const [store, clock] = [new Store(), new ManualClock({ skipsUpToMs: 59_999 })];
  const script: Script = { store, clock, asked: [], queries: [], logged: [] };
  const ended = new AbortController();
  const rest = [...replies];
  const next = (asked: string, query: Readonly<Record<string, string>>): Reply => {
    script.asked.push(asked);
    script.queries.push(query);
    const reply = rest.shift();
    if (reply === undefined) ended.abort();
    return reply ?? { error: new Error("over") };
  };
  const log: Logger = {
    ...SILENT,
    warn: (message, fields = {}) => script.logged.push({ message, fields }),
    info: (message, fields = {}) => script.logged.push({ message, fields }),
  };
  const resource = RESOURCES.find((each) => each.kind === kind);
  if (resource === undefined) throw new TypeError(kind);
  const client = {
    async *list(_path: string, { query }: { query: Readonly<Record<string, string>> }) {
      const { pages = [], error } = next("list", query);
      yield* pages;
      if (error !== undefined) throw error;
      await Promise.resolve();
    },
    async *watch(
      _path: string,
      { query, signal }: { query: Readonly<Record<string, string>>; signal: AbortSignal },
    ) {
      const version = query["sendInitialEvents"]
        ? "watch-list"
        : `watch ${query["resourceVersion"]}`;
      const { lines = [], error, stays = false, lastsMs = 0 } = next(version, query);
      yield* lines;
      clock.advance(lastsMs);
      if (error !== undefined) throw error;
      if (!stays) return;
      const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
      clock.advance(60_000);
      await aborted;
      throw signal.reason;
    },
  };
  await reflect({ client, resource, nodeName: "here", store, clock, log, signal: ended.signal });
  strictEqual(rest.length, 0, "not all replies were asked for");
  return script;
}

function web(version: number, fields: JsonObject = {}): JsonObject {
  const { name = "web", ...spec } = fields;
  return {
    metadata: { name, namespace: "ns", resourceVersion: String(version) },
    spec: { clusterIP: "172.30.0.1", ports: [{ port: 80 }], ...spec },
  };
}

function added(object: JsonObject): string {
  return JSON.stringify({ type: "ADDED", object });
}

function deleted(object: JsonObject): string {
  return JSON.stringify({ type: "DELETED", object });
}

function bookmark(version: number, annotations?: JsonObject): string {
  const metadata = { resourceVersion: String(version), annotations };
  return JSON.stringify({ type: "BOOKMARK", object: { kind: "Service", metadata } });
}

function failure(code: number, reason: string): string {
  return JSON.stringify({ type: "ERROR", object: { kind: "Status", code, reason } });
}

const END = (version: number) => bookmark(version, { "k8s.io/initial-events-end": "true" });

function refusal(
  status: number,
  detail: { reason?: string; retryAfterMs?: number } = {},
): ApiError {
  const defaults = { reason: "", message: "no", retryAfterMs: 0 };
  return new ApiError("GET", "/api/v1/services", { status, ...defaults, ...detail });
}

const NO_REPLY = refusal(0);

Deno.test("reflect() asks for a WatchList first, API-03, and syncs at its end", async () => {
  const { store, asked, queries } = await play([
    { lines: [added(web(3)), added(web(4, { name: "db" })), END(7)] },
  ]);
  deepStrictEqual(asked, ["watch-list", "watch 7"]);
  deepStrictEqual(queries[0], {
    labelSelector: "!service.kubernetes.io/service-proxy-name",
    fieldSelector: "spec.clusterIP!=None",
    sendInitialEvents: "true",
    resourceVersionMatch: "NotOlderThan",
    resourceVersion: "",
    allowWatchBookmarks: "true",
    timeoutSeconds: "300",
  });
  ok(store.hasSyncedKind("Service"));
  deepStrictEqual([...store.services.keys()], ["ns/web", "ns/db"]);
});

Deno.test("reflect() shows nothing of a WatchList before its end", async () => {
  const { store, asked } = await play([
    { lines: [added(web(3))] },
    { error: refusal(500) },
  ]);
  strictEqual(store.services.size, 0);
  ok(!store.hasSyncedKind("Service"));
  deepStrictEqual(asked, ["watch-list", "list", "watch-list"]);
});

Deno.test("reflect() follows changes after the list and deletes what is deleted", async () => {
  const { store, asked } = await play([
    {
      lines: [
        added(web(3)),
        END(3),
        added(web(4, { externalIPs: ["203.0.113.1"] })),
        added(web(5, { name: "db" })),
        deleted(web(6, { name: "db" })),
      ],
    },
  ]);
  deepStrictEqual(store.services.get("ns/web")?.externalIps, ["203.0.113.1"]);
  ok(!store.services.has("ns/db"));
  deepStrictEqual(asked, ["watch-list", "watch 6"]);
});

const REFUSALS = [400, 405, 422];
for (const status of REFUSALS) {
  Deno.test(`reflect() lists in pages for good when WatchList is refused by ${status}`, async () => {
    const { store, asked } = await play([
      { error: refusal(status) },
      {
        pages: [
          { items: [web(3)], resourceVersion: "9" },
          { items: [web(4, { name: "db" })], resourceVersion: "9" },
        ],
      },
      { error: refusal(410, { reason: "Expired" }) },
      { pages: [{ items: [], resourceVersion: "12" }] },
    ]);
    deepStrictEqual(asked, ["watch-list", "list", "watch 9", "list", "watch 12"]);
    strictEqual(store.services.size, 0);
  });
}

Deno.test("reflect() lists when an ordinary bookmark comes before the end of the list", async () => {
  const { asked } = await play([
    { lines: [added(web(3)), bookmark(4)] },
    { pages: [{ items: [web(3)], resourceVersion: "5" }] },
    { error: refusal(410) },
    { error: refusal(500) },
  ]);
  deepStrictEqual(asked, ["watch-list", "list", "watch 5", "list", "list"]);
});

Deno.test("reflect() leaves a server that does not finish a WatchList within a minute", async () => {
  const { asked, logged } = await play([{ lines: [added(web(3))], stays: true }]);
  deepStrictEqual(asked, ["watch-list", "list"]);
  match(String(logged[0]?.fields["error"]), /did not finish within 60 s/);
});

Deno.test("reflect() resumes a closed watch from the last version, at once", async () => {
  const { asked, clock } = await play([
    { lines: [END(3)] },
    { lines: [added(web(8))] },
    { lines: [bookmark(20)] },
    { lastsMs: 300_000 },
  ]);
  deepStrictEqual(asked, ["watch-list", "watch 3", "watch 8", "watch 20", "watch 20"]);
  const waited = clock.slept.filter((ms) => ms > 0 && ms < 60_000);
  deepStrictEqual(waited, [800]); // after the WatchList that ended without an event
});

for (
  const [how, reply] of [
    ["as HTTP status", { error: refusal(410, { reason: "Expired" }) }],
    ["as an event", { lines: [failure(410, "Expired")] }],
    ["as an event with a reason only", { lines: [failure(0, "Expired")] }],
  ] as const
) {
  Deno.test(`reflect() lists again when the version expired ${how}`, async () => {
    const { store, asked } = await play([
      { lines: [added(web(3)), END(3)] },
      reply,
      { lines: [added(web(9, { name: "db" })), END(9)] },
    ]);
    deepStrictEqual(asked, ["watch-list", "watch 3", "watch-list", "watch 9"]);
    deepStrictEqual([...store.services.keys()], ["ns/db"]);
  });
}

Deno.test("reflect() does not list in a tight loop when every watch expires", async () => {
  const expired = { error: refusal(410) };
  const list = { lines: [END(3)], lastsMs: 0 };
  const { clock } = await play([list, expired, list, expired, list, expired, list, expired]);
  const waited = clock.slept.filter((ms) => ms > 0 && ms < 60_000);
  ok(waited.length >= 4 && Math.max(...waited) >= 3_000, `waited ${waited}`);
});

Deno.test("reflect() keeps its version while there is no server, and backs off to 30 s", async () => {
  const { asked, clock, logged } = await play([
    { lines: [added(web(3)), END(3), bookmark(4)] },
    ...Array.from({ length: 8 }, () => ({ error: NO_REPLY })),
    { lines: [added(web(5))] },
  ]);
  deepStrictEqual(asked, ["watch-list", ...Array(9).fill("watch 4"), "watch 5"]);
  const waited = clock.slept.filter((ms) => ms > 0 && ms < 60_000);
  deepStrictEqual(waited, [800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
  deepStrictEqual(logged.map(({ message }) => message), [
    "Cannot follow objects of the API server",
    "Following objects of the API server again",
  ]);
});

const AFTER_REFUSAL = [
  [401, "watch 3"],
  [403, "watch 3"],
  [429, "watch 3"],
  [503, "watch 3"],
  [500, "watch-list"],
  [504, "watch-list"],
  [400, "watch-list"],
] as const;
for (const [status, want] of AFTER_REFUSAL) {
  Deno.test(`reflect() goes on with "${want}" after a watch was refused by ${status}`, async () => {
    const { asked } = await play([{ lines: [END(3), bookmark(3)] }, { error: refusal(status) }]);
    deepStrictEqual(asked, ["watch-list", "watch 3", want]);
  });
}

Deno.test("reflect() stays away for as long as the server asks", async () => {
  const { clock } = await play([{ error: refusal(429, { retryAfterMs: 17_000 }) }]);
  ok(clock.slept.includes(17_000), `slept ${clock.slept}`);
});

const BROKEN = ["{", '{"type":"ADDED","obj', "[]", '{"type":"WHAT"}', "<html>", "null"];
for (const line of BROKEN) {
  Deno.test(`reflect() asks again for what ${JSON.stringify(line)} should have said`, async () => {
    const { store, asked } = await play([
      { lines: [END(3)] },
      { lines: [added(web(4)), line, added(web(99))] },
      { lines: [added(web(5, { name: "db" }))] },
    ]);
    deepStrictEqual(asked, ["watch-list", "watch 3", "watch 4", "watch 5"]);
    deepStrictEqual([...store.services.keys()], ["ns/web", "ns/db"]);
  });
}

Deno.test("reflect() lists again when the first event of a watch cannot be read", async () => {
  const { asked } = await play([{ lines: [END(3)] }, { lines: ["{"] }]);
  deepStrictEqual(asked, ["watch-list", "watch 3", "watch-list"]);
});

Deno.test("reflect() removes an object that is no longer usable, and says so once", async () => {
  const bad = { clusterIP: "172.30.0.300" };
  const { store, logged } = await play([
    { lines: [added(web(3)), END(3), added(web(4, bad)), added(web(5, bad))] },
  ]);
  strictEqual(store.services.size, 0);
  deepStrictEqual(logged.map(({ fields }) => fields["object"]), ["ns/web"]);
});

Deno.test("reflect() takes no offence at a cluster without ServiceCIDRs, API-08", async () => {
  const { logged, asked } = await play([
    { error: refusal(404, { reason: "NotFound" }) },
    { error: refusal(404, { reason: "NotFound" }) },
  ], "ServiceCIDR");
  deepStrictEqual(logged, []);
  deepStrictEqual(asked, ["watch-list", "list", "watch-list"]);
});

Deno.test("reflect() ends a watch that the server does not end in time", async () => {
  const clock = new ManualClock();
  const ended = new AbortController();
  const aborted: string[] = [];
  const client = {
    async *list() {},
    async *watch(_path: string, { signal }: { signal: AbortSignal }) {
      yield END(3);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      aborted.push(String(signal.reason));
      ended.abort();
    },
  };
  const resource = RESOURCES[0];
  if (resource === undefined) throw new TypeError("no resource");
  const store = new Store();
  const options = { client, resource, nodeName: "here", store, clock, log: SILENT };
  const done = reflect({ ...options, signal: ended.signal });
  await new Promise((resolve) => setTimeout(resolve));
  clock.advance(60_000);
  deepStrictEqual(aborted, []);
  clock.advance(270_001);
  await done;
  deepStrictEqual(aborted, ["Error: The server did not finish within 330 s"]);
});
