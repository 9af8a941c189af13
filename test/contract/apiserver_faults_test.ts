/**
 * The trouble that the embedded API server makes on demand: each kind really looks to a client as
 * it should, strikes as often as asked, and is over afterwards.
 *
 * @module
 */

import { deepStrictEqual, equal, ok, rejects } from "node:assert/strict";
import { type ApiServer, startApiServer } from "../support/apiserver/mod.ts";
import { ApiClient } from "../support/apiserver/client.ts";
import type { Fault } from "../support/apiserver/faults.ts";

const SERVICES = "/api/v1/services";

interface Lab extends AsyncDisposable {
  readonly server: ApiServer;
  readonly client: ApiClient;
}

async function openLab(): Promise<Lab> {
  const server = await startApiServer();
  const { ca, admin } = server.credentials;
  const client = new ApiClient(server.url, { ca, token: admin.token });
  return {
    server,
    client,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

function write(server: ApiServer, mark: string): void {
  server.apply({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", labels: { mark } },
    spec: { ports: [{ port: 80 }] },
  });
}

/** How a list went: its code, or a word for no answer. */
async function list(client: ApiClient): Promise<string> {
  try {
    const { code, body, headers } = await client.request({ path: SERVICES });
    const retry = headers["retry-after"];
    return `${code} ${body["reason"] ?? body["kind"] ?? "nonsense"}${retry ? ` ${retry}` : ""}`;
  } catch {
    return "broken";
  }
}

const LIST_FAULTS: readonly (readonly [Fault, string])[] = [
  [{ kind: "error" }, "500 InternalError"],
  [{ kind: "error", code: 429, retryAfterSeconds: 2 }, "429 TooManyRequests 2"],
  [{ kind: "error", code: 503 }, "503 ServiceUnavailable"],
  [{ kind: "expired" }, "410 Expired"],
  [{ kind: "drop" }, "broken"],
  [{ kind: "truncate" }, "broken"],
  [{ kind: "garbage" }, "200 nonsense"],
  [{ kind: "end" }, "200 nonsense"],
  [{ kind: "delay", delayMs: 10 }, "200 ServiceList"],
  [{ kind: "error", resource: "nodes" }, "200 ServiceList"],
  [{ kind: "error", verb: "watch" }, "200 ServiceList"],
];

Deno.test("apiserver: faults of requests", async (t) => {
  await using lab = await openLab();
  for (const [fault, want] of LIST_FAULTS) {
    await t.step(`${JSON.stringify(fault)}: ${want}`, async () => {
      const armed = lab.server.faults.add({ ...fault, count: 2 });
      equal(await list(lab.client), want);
      equal(await list(lab.client), want);
      equal(await list(lab.client), "200 ServiceList");
      if (fault.resource === undefined && fault.verb === undefined) equal(armed.strikes, 2);
      lab.server.faults.clear();
    });
  }
});

Deno.test("apiserver: a delayed answer takes its time, a hanging one never comes", async () => {
  await using lab = await openLab();
  const { client, server } = lab;
  server.faults.add({ kind: "delay", delayMs: 150, count: 1 });
  const begin = Date.now();
  equal(await list(client), "200 ServiceList");
  ok(Date.now() - begin >= 145);
  server.faults.add({ kind: "hang", count: 1 });
  const hanging = list(client);
  equal(await Promise.race([hanging, pause(200).then(() => "silence")]), "silence");
  server.killConnections();
  equal(await hanging, "broken");
});

const WATCH_FAULTS: readonly (readonly [Fault, string])[] = [
  [{ kind: "error", code: 503 }, "one, ERROR 503, end"],
  [{ kind: "expired" }, "one, ERROR 410, end"],
  [{ kind: "drop" }, "one, broken"],
  [{ kind: "end" }, "one, end"],
  [{ kind: "truncate" }, "one, SyntaxError"],
  [{ kind: "garbage" }, "one, SyntaxError"],
  [{ kind: "delay", delayMs: 100 }, "one, two, three, end"],
];

Deno.test("apiserver: faults of running watches", async (t) => {
  await using lab = await openLab();
  const { client, server } = lab;
  for (const [fault, want] of WATCH_FAULTS) {
    await t.step(`${JSON.stringify(fault)}: ${want}`, async () => {
      const path = `${SERVICES}?watch=1&timeoutSeconds=1&resourceVersion=${server.version}`;
      const seen: string[] = [];
      const reading = readWatch(client, { path, seen });
      await until(() => server.watchCount === 1);
      write(server, "one");
      await until(() => seen.length === 1); // a broken connection may lose what was under way
      server.faults.add({ ...fault, at: "event", count: 1 });
      write(server, "two");
      write(server, "three");
      await reading;
      equal(seen.join(", "), want);
      await until(() => server.watchCount === 0);
      equal(server.faults.list().length, 0);
    });
  }
});

async function readWatch(
  client: ApiClient,
  { path, seen }: { path: string; seen: string[] },
): Promise<void> {
  try {
    for await (const { type, object } of client.watch(path)) {
      const { labels } = (object["metadata"] ?? {}) as { labels?: { mark?: string } };
      seen.push(type === "ERROR" ? `ERROR ${object["code"]}` : labels?.mark ?? type);
    }
    seen.push("end");
  } catch (error) {
    seen.push(error instanceof SyntaxError ? "SyntaxError" : "broken");
  }
}

Deno.test("apiserver: a watch that hangs stays open and silent", async () => {
  await using lab = await openLab();
  const { client, server } = lab;
  const seen: string[] = [];
  const path = `${SERVICES}?watch=1&resourceVersion=${server.version}`;
  const reading = readWatch(client, { path, seen });
  await until(() => server.watchCount === 1);
  equal(server.stopWatches("hang", "services"), 1);
  write(server, "one");
  await pause(200);
  deepStrictEqual(seen, []);
  server.killConnections();
  await reading;
  deepStrictEqual(seen, ["broken"]);
});

Deno.test("apiserver: a watch may start with 410, or be refused", async () => {
  await using lab = await openLab();
  const { client, server } = lab;
  server.faults.add({ kind: "expired", verb: "watch", count: 1 });
  const seen: string[] = [];
  await readWatch(client, { path: `${SERVICES}?watch=1`, seen });
  deepStrictEqual(seen, ["ERROR 410", "end"]);
  server.faults.add({ kind: "truncate", verb: "watch", count: 1 });
  await rejects(client.watch(`${SERVICES}?watch=1`).next());
  server.faults.add({ kind: "error", code: 429, retryAfterSeconds: 1, verb: "watch", count: 1 });
  await rejects(client.watch(`${SERVICES}?watch=1`).next(), /429/);
});

Deno.test("apiserver: goes away and comes back at the same address with its objects", async () => {
  await using lab = await openLab();
  const { client, server } = lab;
  write(server, "one");
  const { url, version } = server;
  const seen: string[] = [];
  const reading = readWatch(client, {
    path: `${SERVICES}?watch=1&resourceVersion=${version}`,
    seen,
  });
  await until(() => server.watchCount === 1);
  await server.pause();
  await reading;
  deepStrictEqual(seen, ["broken"]);
  equal(await list(client), "broken");
  await server.resume();
  equal(server.url, url);
  equal(await list(client), "200 ServiceList");
  equal(server.version, version);
});

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !condition(); i++) await pause(5);
  ok(condition(), "waited for one second");
}
