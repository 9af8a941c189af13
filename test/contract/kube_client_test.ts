/**
 * The API client against a real HTTPS server: credentials, lists, watches, and everything that
 * goes wrong with them.
 *
 * @module
 */

import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { startApiSource } from "../../src/kube/api_source.ts";
import type { Connection } from "../../src/kube/connection.ts";
import { loadConnection } from "../../src/kube/credentials.ts";
import { startEvent, startEventRecorder } from "../../src/kube/events.ts";
import { readText } from "../../src/kube/lines.ts";
import { Store } from "../../src/kube/store.ts";
import { SYSTEM_CLOCK } from "../../src/kube/system_clock.ts";
import { openUndiciTransport } from "../../src/kube/undici_transport.ts";
import { type Fields, type Logger, SILENT } from "../../src/log.ts";
import {
  type ApiServer,
  type ApiServerOptions,
  createAuthority,
  kubeconfig,
  startApiServer,
} from "../support/apiserver/mod.ts";
import { ManualClock } from "../support/manual_clock.ts";

/** Long enough for some failures with backoff on a busy machine. */
const PATIENCE_MS = 20_000;

const NODE = { apiVersion: "v1", kind: "Node", metadata: { name: "node1" } };
const SLICES = "endpointslices";

function service(name: string, clusterIP: string): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: { clusterIP, ports: [{ name: "http", port: 80 }] },
  };
}

function slice(name: string, addresses: readonly string[]): object {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name,
      namespace: "default",
      labels: { "kubernetes.io/service-name": "web" },
    },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  };
}

/** Lines of a logger, for asserting what a person can read. */
class Lines {
  readonly lines: string[] = [];
  readonly log: Logger = {
    ...SILENT,
    error: (message, fields) => this.#add(message, fields),
    warn: (message, fields) => this.#add(message, fields),
    info: (message, fields) => this.#add(message, fields),
  };

  #add(message: string, fields: Fields = {}): void {
    this.lines.push(`${message} ${Object.values(fields).map(String).join(" ")}`);
  }
}

/** A server, a store that follows it, and a directory with credentials. */
class Setting implements AsyncDisposable {
  readonly store = new Store();
  readonly log = new Lines();
  readonly #ended = new AbortController();
  #done: Promise<void> = Promise.resolve();

  private constructor(readonly server: ApiServer, readonly directory: string) {}

  static async start(options: ApiServerOptions = {}): Promise<Setting> {
    const server = await startApiServer(options);
    const setting = new Setting(server, await Deno.makeTempDir({ prefix: "vipd-kube-" }));
    await server.writeFiles(setting.directory);
    return setting;
  }

  connection(file = "proxy.kubeconfig"): Promise<Connection> {
    const path = `${this.directory}/${file}`;
    return loadConnection({ kubeconfig: path, master: "", environment: {}, log: this.log.log });
  }

  async follow(file?: string): Promise<ReturnType<typeof startApiSource>> {
    const source = startApiSource({
      connection: await this.connection(file),
      store: this.store,
      nodeName: "node1",
      clientConfig: { qps: 50, burst: 100 },
      log: this.log.log,
      signal: this.#ended.signal,
    });
    this.#done = source.done;
    return source;
  }

  /** Follows the server and waits for the first lists. */
  async synced(file?: string): Promise<ReturnType<typeof startApiSource>> {
    const source = await this.follow(file);
    await this.store.whenSynced(AbortSignal.timeout(PATIENCE_MS));
    return source;
  }

  /** Resolves as soon as the store makes the condition true; rejects when it never does. */
  async until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!condition()) {
      const message = `still not: ${condition}\n${this.log.lines.join("\n")}`;
      if (performance.now() > deadline) throw new Error(message);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  endpoints(): readonly string[] {
    const slices = this.store.slicesByService.get("default/web") ?? [];
    return slices.flatMap(({ endpoints }) => endpoints.map(({ ip }) => ip)).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#done;
    await this.server[Symbol.asyncDispose]();
    await Deno.remove(this.directory, { recursive: true });
  }
}

for (const file of ["proxy.kubeconfig", "proxy-token.kubeconfig", "proxy-inline.kubeconfig"]) {
  Deno.test(`kube: ${file} lets us in, and changes of all kinds arrive`, async () => {
    await using setting = await Setting.start();
    const { server, store } = setting;
    server.apply(service("web", "10.96.0.80"), slice("web-1", ["10.0.0.1"]), NODE);
    await setting.synced(file);
    await setting.until(() => store.node !== undefined && store.serviceCidrs.size === 1);
    deepStrictEqual(setting.endpoints(), ["10.0.0.1"]);
    server.apply(slice("web-1", ["10.0.0.1", "10.0.0.2"]), service("db", "10.96.0.81"));
    await setting.until(() => setting.endpoints().length === 2 && store.services.has("default/db"));
    server.delete({ apiVersion: "v1", kind: "Service", namespace: "default", name: "web" });
    server.delete({ apiVersion: "v1", kind: "Node", name: "node1" });
    await setting.until(() => !store.services.has("default/web"));
    deepStrictEqual(setting.endpoints(), ["10.0.0.1", "10.0.0.2"]);
    ok(store.node, "the last Node seen stays in force");
    deepStrictEqual(setting.log.lines, []);
  });
}

Deno.test("kube: objects that another proxy serves or that are headless never arrive", async () => {
  await using setting = await Setting.start();
  const { server, store } = setting;
  const labels = { "service.kubernetes.io/service-proxy-name": "other" };
  const other = {
    ...service("other", "10.96.0.82"),
    metadata: { name: "other", namespace: "default", labels },
  };
  server.apply(service("headless", "None"), other, service("web", "10.96.0.80"));
  await setting.synced();
  deepStrictEqual([...store.services.keys()].sort(), ["default/kubernetes", "default/web"]);
  // A label that is set later removes the Service.
  server.apply({
    ...service("web", "10.96.0.80"),
    metadata: { name: "web", namespace: "default", labels },
  });
  await setting.until(() => !store.services.has("default/web"));
});

Deno.test("kube: a server without WatchList is listed in pages of 500", async () => {
  await using setting = await Setting.start({ watchList: false });
  const slices = Array.from(
    { length: 1_201 },
    (_, i) => slice(`web-${i}`, [`10.1.${i >> 8}.${i & 255}`]),
  );
  setting.server.seed(...slices);
  const before = setting.server.requestCount;
  await setting.synced();
  strictEqual(setting.endpoints().length, 1_201);
  // 4 refused WatchLists, 3 + 1 + 1 + 1 pages; 4 watches may have begun.
  const requests = setting.server.requestCount - before;
  ok(requests >= 10 && requests <= 14, `${requests} requests`);
});

const WATCH_ENDS = ["end", "drop"] as const;
for (const how of WATCH_ENDS) {
  Deno.test(`kube: watches that ${how} are resumed, and nothing is lost in between`, async () => {
    await using setting = await Setting.start();
    const { server } = setting;
    await setting.synced();
    await setting.until(() => server.watchCount === 4);
    strictEqual(server.stopWatches(how), 4);
    server.apply(slice("web-1", ["10.0.0.1"]));
    await setting.until(() => setting.endpoints().length === 1);
  });
}

Deno.test("kube: after 410 everything is listed again, deletions included", async () => {
  await using setting = await Setting.start();
  const { server, store } = setting;
  server.apply(service("web", "10.96.0.80"));
  await setting.synced();
  const web = store.services.get("default/kubernetes");
  await server.pause();
  server.delete({ apiVersion: "v1", kind: "Service", namespace: "default", name: "web" });
  server.apply(service("db", "10.96.0.81"));
  server.compact();
  await server.resume();
  await setting.until(() => store.services.has("default/db"));
  ok(!store.services.has("default/web"));
  strictEqual(store.services.get("default/kubernetes"), web, "an unchanged object stays the same");
});

const FAULTS = [
  { kind: "error", code: 500, verb: "watch", count: 1 },
  { kind: "error", code: 429, retryAfterSeconds: 1, verb: "watch", count: 1 },
  { kind: "error", code: 401, verb: "watch", count: 1 },
  { kind: "expired", count: 2 },
  { kind: "drop", count: 2 },
  { kind: "end", count: 2 },
  { kind: "garbage", count: 2 },
  { kind: "truncate", count: 2 },
] as const;
for (const fault of FAULTS) {
  Deno.test(`kube: the first lists survive the fault ${JSON.stringify(fault)}`, async () => {
    await using setting = await Setting.start();
    setting.server.apply(service("web", "10.96.0.80"), slice("web-1", ["10.0.0.1"]));
    setting.server.faults.add({ ...fault, resource: SLICES });
    await setting.synced();
    deepStrictEqual(setting.endpoints(), ["10.0.0.1"]);
    deepStrictEqual(setting.server.faults.list(), [], "the fault has struck");
  });
}

const EVENT_FAULTS = ["error", "expired", "drop", "end", "truncate", "garbage"] as const;
for (const kind of EVENT_FAULTS) {
  Deno.test(`kube: a running watch survives the fault ${kind}`, async () => {
    await using setting = await Setting.start();
    const { server } = setting;
    await setting.synced();
    await setting.until(() => server.watchCount === 4);
    server.faults.add({ kind, at: "event", resource: SLICES, count: 1 });
    server.apply(slice("web-1", ["10.0.0.1"]));
    await setting.until(() => setting.endpoints().length === 1);
    server.apply(slice("web-1", ["10.0.0.1", "10.0.0.2"]));
    await setting.until(() => setting.endpoints().length === 2);
    deepStrictEqual(server.faults.list(), [], "the fault has struck");
  });
}

Deno.test("kube: no ServiceCIDR API, and no Node that one may read, hold nothing up", async () => {
  await using setting = await Setting.start();
  const { server, store } = setting;
  server.faults.add({ kind: "error", code: 404, resource: "servicecidrs" });
  server.faults.add({ kind: "error", code: 403, resource: "nodes" });
  await setting.synced();
  await setting.until(() => setting.log.lines.length > 0);
  ok(!store.hasSyncedKind("ServiceCIDR") && !store.hasSyncedKind("Node"));
  ok(setting.log.lines.every((line) => line.includes("Node")), setting.log.lines.join("\n"));
  server.faults.clear();
  await setting.until(() => store.hasSyncedKind("ServiceCIDR") && store.hasSyncedKind("Node"));
});

/** The regression of DENO.md: node:tls lost the end of a stream whose peer died in a burst. */
Deno.test("kube: a server that dies while it streams is noticed at once, twenty times", async () => {
  await using setting = await Setting.start();
  const { server, store } = setting;
  const addresses = Array.from({ length: 100 }, (_, i) => `10.2.0.${i}`);
  server.seed(...Array.from({ length: 1_500 }, (_, i) => slice(`web-${i}`, addresses)));
  for (let round = 0; round < 20; round++) {
    const transport = openUndiciTransport(await setting.connection());
    const reply = await transport.send({
      method: "GET",
      path: "/apis/discovery.k8s.io/v1/endpointslices?watch=true&resourceVersion=&" +
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
      headers: {},
      idleTimeoutMs: 60_000,
      signal: AbortSignal.timeout(10_000),
    });
    let bytes = 0;
    let startMs = 0;
    await rejects(async () => {
      for await (const chunk of reply.body) {
        bytes += chunk.length;
        if (startMs !== 0 || bytes < 100_000 * (round % 5)) continue;
        startMs = performance.now();
        server.killConnections();
      }
    });
    const tookMs = performance.now() - startMs;
    ok(tookMs < 2_000, `round ${round}: noticed after ${tookMs} ms and ${bytes} bytes`);
    await transport.close();
  }
  await setting.synced();
  strictEqual(store.slicesByService.get("default/web")?.length, 1_500);
});

Deno.test("kube: a server that goes away and comes back is followed again", async () => {
  await using setting = await Setting.start();
  const { server } = setting;
  await setting.synced();
  await server.pause();
  await setting.until(() => setting.log.lines.some((line) => line.startsWith("Cannot follow")));
  server.apply(slice("web-1", ["10.0.0.1"]));
  await server.resume();
  await setting.until(() => setting.endpoints().length === 1);
});

Deno.test("kube: the start is an Event, and a refused Event disturbs nobody", async () => {
  await using setting = await Setting.start();
  const { server } = setting;
  const { client } = await setting.synced();
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const options = { client, hostname: "h", clock: SYSTEM_CLOCK, log: setting.log.log, signal };
  const recorder = startEventRecorder(options);
  server.faults.add({ kind: "error", code: 500, resource: "events", count: 1 });
  recorder.record(startEvent("node1"));
  await setting.until(() => server.list("events.k8s.io/v1", "Event").length === 1);
  server.faults.add({ kind: "error", code: 403, resource: "events", count: 1 });
  recorder.record({ ...startEvent("node1"), note: "again" });
  recorder.record({ ...startEvent("node1"), note: "and again" });
  await setting.until(() => server.list("events.k8s.io/v1", "Event").length === 2);
});

Deno.test("kube: a wrong authority is named, not only called unable to verify", async () => {
  await using setting = await Setting.start();
  const other = await createAuthority("somebody-else");
  await Deno.writeTextFile(`${setting.directory}/ca.crt`, other.cert);
  await setting.follow();
  await setting.until(() => setting.log.lines.length > 0);
  match(
    setting.log.lines[0] ?? "",
    /issued by CN=vipd-test-ca, which is not among .*somebody-else/,
  );
});

Deno.test("kube: an expired certificate of the server is called expired", async () => {
  await using setting = await Setting.start();
  const validity = { notBefore: new Date("2026-01-01"), notAfter: new Date("2026-02-01") };
  const { cert, key } = await setting.server.authority.issueServer(["127.0.0.1"], validity);
  const expired = createServer({ cert, key }, (_request, response) => response.end("{}"));
  await new Promise<void>((resolve) => expired.listen(0, "127.0.0.1", resolve));
  const { port } = expired.address() as AddressInfo;
  const cluster = { "certificate-authority": "ca.crt" };
  const text = kubeconfig(`https://127.0.0.1:${port}`, { cluster, user: { token: "t" } });
  await Deno.writeTextFile(`${setting.directory}/expired.kubeconfig`, text);
  await setting.follow("expired.kubeconfig");
  await setting.until(() => setting.log.lines.length > 0);
  match(setting.log.lines[0] ?? "", /certificate of the server expired at 2026-02-01T00:00:00/);
  await new Promise((resolve) => expired.close(resolve));
});

Deno.test("kube: a client certificate that expired is logged, one without its key refused", async () => {
  await using setting = await Setting.start();
  const { authority } = setting.server;
  const validity = { notBefore: new Date("2026-01-01"), notAfter: new Date("2026-02-01") };
  const user = { name: "system:kube-proxy", groups: [] };
  const { cert, key } = await authority.issueClient(user, validity);
  await Deno.writeTextFile(`${setting.directory}/proxy.crt`, cert);
  await rejects(setting.connection(), /proxy.kubeconfig: client-certificate: does not belong to/);
  await Deno.writeTextFile(`${setting.directory}/proxy.key`, key);
  await setting.connection();
  match(
    setting.log.lines[0] ?? "",
    /client-certificate CN=system:kube-proxy it expired at 2026-02/,
  );
});

Deno.test("kube: a client certificate that is replaced is used, and half of a new pair is not", async () => {
  await using setting = await Setting.start();
  const { credentials } = setting.server;
  const put = async (user: { cert: string; key: string }) => {
    await Deno.writeTextFile(`${setting.directory}/proxy.crt`, user.cert);
    await Deno.writeTextFile(`${setting.directory}/proxy.key`, user.key);
  };
  await put(credentials.stranger);
  const clock = new ManualClock();
  const transport = openUndiciTransport(await setting.connection(), clock);
  const status = async () => {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const request = { method: "GET", headers: {}, idleTimeoutMs: PATIENCE_MS, signal } as const;
    const reply = await transport.send({ ...request, path: "/api/v1/services" });
    await readText(reply.body);
    return reply.status;
  };
  strictEqual(await status(), 403);
  await put({ ...credentials.proxy, key: credentials.stranger.key });
  clock.advance(60_000);
  strictEqual(await status(), 403);
  await put(credentials.proxy);
  strictEqual(await status(), 403, "not read for each request");
  clock.advance(60_000);
  strictEqual(await status(), 200);
  // Of another cluster: refused by 401, which is a reason to look at once.
  const strangers = await createAuthority();
  await put(await strangers.issueClient({ name: "system:kube-proxy", groups: [] }));
  clock.advance(60_000);
  strictEqual(await status(), 401);
  await put(credentials.proxy);
  strictEqual(await status(), 200);
  await transport.close();
});

Deno.test("kube: a watch goes on while the client certificate is replaced", async () => {
  await using setting = await Setting.start();
  const { server, directory } = setting;
  const clock = new ManualClock();
  const transport = openUndiciTransport(await setting.connection(), clock);
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const get = (path: string) =>
    transport.send({ method: "GET", path, headers: {}, idleTimeoutMs: PATIENCE_MS, signal });
  const watch = await get("/api/v1/services?watch=true");
  const again = { name: "system:kube-proxy", groups: ["system:node-proxier"] };
  const { cert, key } = await server.authority.issueClient(again);
  await Deno.writeTextFile(`${directory}/proxy.crt`, cert);
  await Deno.writeTextFile(`${directory}/proxy.key`, key);
  clock.advance(60_000);
  await readText((await get("/api/v1/nodes")).body);
  server.apply(service("late", "10.96.0.83"));
  let text = "";
  for await (const chunk of watch.body) {
    text += new TextDecoder().decode(chunk);
    if (text.includes('"late"')) break;
  }
  match(text, /"late"/);
  await transport.close();
});

Deno.test("kube: a client certificate and its key may be in one file, as the kubelet's are", async () => {
  await using setting = await Setting.start();
  const { directory, server } = setting;
  const { cert, key } = server.credentials.proxy;
  await Deno.writeTextFile(`${directory}/current.pem`, `${cert}\n${key}`);
  const user = { "client-certificate": "current.pem", "client-key": "current.pem" };
  const text = kubeconfig(server.url, { cluster: { "certificate-authority": "ca.crt" }, user });
  await Deno.writeTextFile(`${directory}/one.kubeconfig`, text);
  await setting.synced("one.kubeconfig");
  deepStrictEqual(setting.log.lines, []);
});

Deno.test("kube: loadConnection() names the file that is not there", async () => {
  await using setting = await Setting.start();
  await rejects(setting.connection("nothing.kubeconfig"), /--kubeconfig: .*nothing.kubeconfig/);
  await Deno.remove(`${setting.directory}/ca.crt`);
  await rejects(setting.connection(), /proxy.kubeconfig: .*ca.crt.*cannot be read/);
});

Deno.test("kube: loadConnection() takes --master alone, and knows when it is in no pod", async () => {
  const lines = new Lines();
  const options = { kubeconfig: "", environment: {}, log: lines.log };
  const { server } = await loadConnection({ ...options, master: "http://10.0.0.1:8080/" });
  strictEqual(server, "http://10.0.0.1:8080");
  await rejects(loadConnection({ ...options, master: "" }), /KUBERNETES_SERVICE_HOST/);
});

Deno.test("kube: a refused token is replaced as soon as its file has a new one", async () => {
  await using setting = await Setting.start();
  const file = `${setting.directory}/proxy.token`;
  const token = await Deno.readTextFile(file);
  await Deno.writeTextFile(file, "of yesterday");
  await setting.follow("proxy-token.kubeconfig");
  await setting.until(() => setting.log.lines.some((line) => line.includes("401")));
  await Deno.writeTextFile(file, token);
  await setting.until(() => setting.store.hasSynced());
});

const SERVERS = [["an IPv6 address", "::1", "[::1]"], [
  "a name",
  "127.0.0.1",
  "localhost",
]] as const;
for (const [what, host, written] of SERVERS) {
  Deno.test(`kube: a server by ${what} is reached and known by its certificate`, async () => {
    await using setting = await Setting.start({ host });
    const url = `https://${written}:${setting.server.port}`;
    const files = {
      cluster: { "certificate-authority": "ca.crt" },
      user: { tokenFile: "proxy.token" },
    };
    await Deno.writeTextFile(`${setting.directory}/by-name`, kubeconfig(url, files));
    await setting.synced("by-name");
    deepStrictEqual(setting.log.lines, []);
  });
}

Deno.test("kube: a role that is bound after the start is noticed within seconds", async () => {
  await using setting = await Setting.start();
  setting.server.faults.add({ kind: "error", code: 403, count: 8 });
  await setting.synced();
  deepStrictEqual(setting.server.faults.list(), []);
});

Deno.test("kube: a refused token is told once, and tried again", async () => {
  await using setting = await Setting.start();
  await Deno.writeTextFile(`${setting.directory}/proxy.token`, "not yet valid");
  await setting.follow("proxy-token.kubeconfig");
  await setting.until(() => setting.server.requestCount >= 8);
  const told = setting.log.lines.filter((line) => line.includes("401"));
  strictEqual(told.length, 4, "one line for each of the four kinds");
});
