import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { ManualClock } from "../../test/support/manual_clock.ts";
import { ApiError } from "./api_error.ts";
import { ApiClient } from "./client.ts";
import { fixedAuthorization, NO_AUTHORIZATION } from "./token.ts";
import { Throttle } from "./throttle.ts";
import type { HttpReply, HttpRequest } from "./transport.ts";

const SIGNAL = new AbortController().signal;

async function* chunks(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text);
  await Promise.resolve();
}

function reply(status: number, ...texts: readonly string[]): HttpReply {
  return { status, headers: {}, body: chunks(...texts) };
}

/** A client whose server answers by a function; what it was asked is kept. */
function clientOf(
  answer: (request: HttpRequest, count: number) => HttpReply | Error,
  authorization = NO_AUTHORIZATION,
): { client: ApiClient; requests: HttpRequest[]; clock: ManualClock } {
  const requests: HttpRequest[] = [];
  const clock = new ManualClock({ skipsUpToMs: 60_000 });
  const client = new ApiClient({
    transport: {
      send(request) {
        requests.push(request);
        const answered = answer(request, requests.length);
        return answered instanceof Error ? Promise.reject(answered) : Promise.resolve(answered);
      },
      close: () => Promise.resolve(),
    },
    authorization,
    throttle: new Throttle({ qps: 5, burst: 10, clock }),
    userAgent: "kube-proxy/v1.36.2 (linux/amd64) kubernetes/vipd",
  });
  return { client, requests, clock };
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of source) values.push(value);
  return values;
}

Deno.test("ApiClient.list() follows the pages of a list", async () => {
  const { client, requests } = clientOf((_request, count) =>
    reply(
      200,
      JSON.stringify({
        metadata: { resourceVersion: "7", ...(count === 1 && { continue: "c&1" }) },
        items: [{ count }, "no object"],
      }),
    )
  );
  const pages = await all(client.list("/api/v1/services", { query: { a: "b=c" }, signal: SIGNAL }));
  deepStrictEqual(pages, [
    { items: [{ count: 1 }, {}], resourceVersion: "7" },
    { items: [{ count: 2 }, {}], resourceVersion: "7" },
  ]);
  deepStrictEqual(requests.map(({ path }) => path), [
    "/api/v1/services?a=b%3Dc&limit=500",
    "/api/v1/services?a=b%3Dc&limit=500&continue=c%261",
  ]);
});

Deno.test("ApiClient says who it is, API-02, asks for JSON, API-04, and shows its token", async () => {
  const { client, requests } = clientOf(() => reply(200, "{}"), fixedAuthorization("Bearer t"));
  await all(client.list("/api/v1/nodes", { query: {}, signal: SIGNAL }));
  deepStrictEqual(requests[0]?.headers, {
    accept: "application/json",
    "user-agent": "kube-proxy/v1.36.2 (linux/amd64) kubernetes/vipd",
    authorization: "Bearer t",
  });
});

Deno.test("ApiClient.watch() yields lines however the stream is cut", async () => {
  const { client, requests } = clientOf(() =>
    reply(200, '{"a":', '"ä"}\n\n{"b"', ":1}\r\n", "{to")
  );
  const lines = await all(client.watch("/api/v1/services", { query: {}, signal: SIGNAL }));
  deepStrictEqual(lines.map((line) => line.trim()), ['{"a":"ä"}', '{"b":1}', "{to"]);
  strictEqual(requests[0]?.path, "/api/v1/services?watch=true");
});

const REFUSALS = [
  ["a Status", 403, '{"kind":"Status","reason":"Forbidden","message":"you may not","code":403}', {
    reason: "Forbidden",
    message: "Cannot GET /api/v1/services: Forbidden 403: you may not",
  }],
  ["text", 502, "bad gateway\n", {
    reason: "",
    message: "Cannot GET /api/v1/services: 502: bad gateway",
  }],
  ["nothing", 500, "", { reason: "", message: "Cannot GET /api/v1/services: 500" }],
] as const;
for (const [what, status, body, { reason, message }] of REFUSALS) {
  Deno.test(`ApiClient throws ApiError with what a refusal says in ${what}`, async () => {
    const { client } = clientOf(() => reply(status, body));
    await rejects(all(client.list("/api/v1/services", { query: {}, signal: SIGNAL })), {
      name: "ApiError",
      method: "GET",
      path: "/api/v1/services",
      status,
      reason,
      message,
    });
  });
}

Deno.test("ApiClient passes on how long the server asks to stay away", async () => {
  const details = JSON.stringify({ kind: "Status", details: { retryAfterSeconds: 3 } });
  const replies = [
    { ...reply(429, ""), headers: { "retry-after": "7" } },
    reply(429, details),
  ];
  const { client } = clientOf((_request, count) => replies[count - 1] ?? new Error("over"));
  const list = () => all(client.list("/api/v1/services", { query: {}, signal: SIGNAL }));
  await rejects(list, { retryAfterMs: 7000 });
  await rejects(list, { retryAfterMs: 3000 });
});

Deno.test("ApiClient throws ApiError with status 0 and the cause when there is no reply", async () => {
  const cause = new Error("connect ECONNREFUSED");
  const { client } = clientOf(() => cause);
  const watch = all(client.watch("/api/v1/services", { query: {}, signal: SIGNAL }));
  await rejects(watch, (error) => {
    ok(error instanceof ApiError);
    deepStrictEqual([error.status, error.cause], [0, cause]);
    strictEqual(error.message, "Cannot GET /api/v1/services: connect ECONNREFUSED");
    return true;
  });
});

Deno.test("ApiClient.list() throws ApiError when the reply is no JSON", async () => {
  const { client } = clientOf(() => reply(200, "<html>"));
  const list = all(client.list("/api/v1/services", { query: {}, signal: SIGNAL }));
  await rejects(list, { name: "ApiError", status: 0 });
});

Deno.test("ApiClient.watch() gives the connection back when it is left early", async () => {
  let isLeft = false;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield* chunks("{}\n");
    } finally {
      isLeft = true;
    }
  }
  const { client } = clientOf(() => ({ status: 200, headers: {}, body: endless() }));
  for await (const _ of client.watch("/api/v1/services", { query: {}, signal: SIGNAL })) break;
  ok(isLeft);
});

Deno.test("ApiClient.write() sends a body as JSON, and a patch as a merge patch", async () => {
  const { client, requests } = clientOf(() => reply(201, '{"kind":"Event"}'));
  const options = { body: { note: "ä" }, signal: SIGNAL };
  deepStrictEqual(await client.write("/events", { ...options, method: "POST" }), { kind: "Event" });
  await client.write("/events/a", { ...options, method: "PATCH" });
  deepStrictEqual(
    requests.map(({ method, body, headers }) => [method, body, headers["content-type"]]),
    [
      ["POST", '{"note":"ä"}', "application/json"],
      ["PATCH", '{"note":"ä"}', "application/merge-patch+json"],
    ],
  );
});

Deno.test("Throttle lets a burst through and then one request in 1/qps, INF-11", async () => {
  const clock = new ManualClock({ skipsUpToMs: 60_000 });
  const throttle = new Throttle({ qps: 5, burst: 3, clock });
  for (let i = 0; i < 5; i++) await throttle.takeTurn();
  deepStrictEqual(clock.slept, [200, 200]);
  clock.advance(10_000);
  for (let i = 0; i < 3; i++) await throttle.takeTurn();
  deepStrictEqual(clock.slept, [200, 200]);
});

Deno.test("Throttle makes those wait longer who ask at the same time", () => {
  const clock = new ManualClock();
  const throttle = new Throttle({ qps: 10, burst: 1, clock });
  for (let i = 0; i < 4; i++) void throttle.takeTurn();
  deepStrictEqual(clock.slept, [100, 200, 300]);
});

Deno.test("Throttle has no limit when qps is negative", () => {
  const clock = new ManualClock();
  const throttle = new Throttle({ qps: -1, burst: 1, clock });
  for (let i = 0; i < 100; i++) void throttle.takeTurn();
  deepStrictEqual(clock.slept, []);
});
