/**
 * What a client may expect of an API server, asked of the embedded one by real HTTPS requests.
 * Needs --allow-net --allow-read --allow-write (credential files) and the loopback only.
 *
 * @module
 */

import { deepStrictEqual, equal, match, ok, rejects } from "node:assert/strict";
import { type ApiServer, type ApiServerOptions, startApiServer } from "../support/apiserver/mod.ts";
import { ApiClient, type ClientEvent } from "../support/apiserver/client.ts";
import { createAuthority } from "../support/apiserver/certificates.ts";
import {
  type JsonObject,
  listAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from "../support/apiserver/json.ts";

const SERVICES = "/api/v1/namespaces/default/services";
const ALL_SERVICES = "/api/v1/services";
const SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

interface Lab extends AsyncDisposable {
  readonly server: ApiServer;
  readonly client: ApiClient;
}

async function openLab(options: ApiServerOptions = {}): Promise<Lab> {
  const server = await startApiServer({ bootstrap: false, ...options });
  const { ca, admin } = server.credentials;
  const client = new ApiClient(server.url, { ca, cert: admin.cert, key: admin.key });
  return {
    server,
    client,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

function service(name: string, spec: JsonObject = {}, metadata: JsonObject = {}): JsonObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default", ...metadata },
    spec: { ports: [{ port: 80 }], ...spec },
  };
}

function slice(name: string, fields: JsonObject = {}): JsonObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, namespace: "default", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.244.1.1"] }],
    ports: [{ port: 8080 }],
    ...fields,
  };
}

/** `ADDED a@101`, `BOOKMARK @102`. */
function shown({ type, object }: ClientEvent): string {
  const { name = "", resourceVersion } = valueAt(object, "metadata") as JsonObject;
  return `${type} ${name}@${resourceVersion}`;
}

async function take(events: AsyncGenerator<ClientEvent>, count: number): Promise<ClientEvent[]> {
  const taken: ClientEvent[] = [];
  while (taken.length < count) {
    const { done, value } = await events.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

async function rest(events: AsyncGenerator<ClientEvent>): Promise<ClientEvent[]> {
  const taken: ClientEvent[] = [];
  for await (const event of events) taken.push(event);
  return taken;
}

Deno.test("apiserver: who may do what", async (t) => {
  await using lab = await openLab();
  const { ca, admin, proxy, stranger } = lab.server.credentials;
  const foreign = await (await createAuthority("another-ca")).issueClient({
    name: "mallory",
    groups: ["system:masters"],
  });
  const create = { method: "POST", path: SERVICES, body: service("x") };
  const status = { method: "PATCH", path: "/api/v1/nodes/n/status", body: {} };
  const rows = [
    ["administrator by certificate lists", admin, { path: ALL_SERVICES }, 200],
    ["administrator by token lists", { token: admin.token }, { path: ALL_SERVICES }, 200],
    ["proxy by certificate lists", proxy, { path: ALL_SERVICES }, 200],
    ["proxy by token lists", { token: proxy.token }, { path: ALL_SERVICES }, 200],
    ["proxy creates a service", { token: proxy.token }, create, 403],
    ["proxy writes a node's status", { token: proxy.token }, status, 403],
    ["proxy lists events", { token: proxy.token }, { path: "/apis/events.k8s.io/v1/events" }, 403],
    ["proxy switches faults on", { token: proxy.token }, { method: "POST", path: "/_faults" }, 403],
    ["stranger lists", { token: stranger.token }, { path: ALL_SERVICES }, 403],
    ["nobody lists", {}, { path: ALL_SERVICES }, 403],
    ["nobody asks for health", {}, { path: "/healthz" }, 200],
    ["nobody asks for the version", {}, { path: "/version" }, 200],
    ["wrong token", { token: "guess" }, { path: ALL_SERVICES }, 401],
    ["certificate of another authority", foreign, { path: ALL_SERVICES }, 401],
  ] as const;
  for (const [title, identity, request, want] of rows) {
    await t.step(`${title}: ${want}`, async () => {
      const { cert, key, token } = { cert: "", key: "", token: "", ...identity };
      // A client sends a token or a certificate, not both.
      using client = new ApiClient(lab.server.url, cert === "" ? { ca, token } : { ca, cert, key });
      const answer = await client.request(request);
      equal(answer.code, want);
      if (want >= 400) equal(answer.body["kind"], "Status");
    });
  }
  await t.step("a client that does not know the authority refuses", async () => {
    using client = new ApiClient(lab.server.url, { ca: foreign.cert });
    await rejects(client.request({ path: "/healthz" }));
  });
});

Deno.test("apiserver: create, read, update, patch, delete", async () => {
  await using lab = await openLab();
  const { client } = lab;
  const created = await client.call("POST", { path: SERVICES, body: service("web") });
  equal(textAt(created, "kind"), "Service");
  equal(textAt(created, "metadata.resourceVersion"), "101");
  match(textAt(created, "metadata.uid"), /^[\da-f-]{36}$/);
  match(textAt(created, "metadata.creationTimestamp"), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  const path = `${SERVICES}/web`;
  deepStrictEqual(await client.call("GET", { path }), created);
  equal((await client.request({ method: "POST", path: SERVICES, body: service("web") })).code, 409);

  const stale = { ...created, metadata: { name: "web", resourceVersion: "99" } };
  const conflict = await client.request({ method: "PUT", path, body: stale });
  deepStrictEqual([conflict.code, conflict.body["reason"]], [409, "Conflict"]);
  const affine = structuredClone(created);
  Object.assign(affine["spec"] as JsonObject, { sessionAffinity: "ClientIP" });
  const updated = await client.call("PUT", { path, body: affine });
  equal(textAt(updated, "metadata.resourceVersion"), "102");
  equal(valueAt(updated, "spec.sessionAffinityConfig.clientIP.timeoutSeconds"), 10_800);
  const same = await client.call("PUT", { path, body: updated });
  equal(textAt(same, "metadata.resourceVersion"), "102", "an update that changes nothing");

  const patches = [
    ["application/merge-patch+json", { metadata: { labels: { a: "1", b: "2" } } }],
    ["application/strategic-merge-patch+json", {
      spec: { ports: [{ port: 80, name: "http" }, { port: 443, name: "https" }] },
    }],
    ["application/json-patch+json", [{ op: "remove", path: "/metadata/labels/a" }]],
  ] as const;
  for (const [contentType, body] of patches) {
    await client.call("PATCH", { path, contentType, body });
  }
  const patched = await client.call("GET", { path });
  deepStrictEqual(valueAt(patched, "metadata.labels"), { b: "2" });
  deepStrictEqual(
    objectsAt(patched, "spec.ports").map(({ name, targetPort }) => [name, targetPort]),
    [["http", 80], ["https", 443]],
  );
  const gone = await client.call("DELETE", { path });
  equal(gone["status"], "Success");
  const missing = await client.request({ path });
  deepStrictEqual([missing.code, missing.body["reason"]], [404, "NotFound"]);
  equal((await client.request({ path: "/api/v1/pods" })).code, 404);
  equal((await client.request({ method: "PUT", path: SERVICES, body: {} })).code, 405);
});

Deno.test("apiserver: status is written apart from the rest", async () => {
  await using lab = await openLab();
  const { client } = lab;
  const ingress = [{ ip: "203.0.113.5" }];
  const body = {
    ...service("lb", { type: "LoadBalancer" }),
    status: { loadBalancer: { ingress } },
  };
  const created = await client.call("POST", { path: SERVICES, body });
  deepStrictEqual(valueAt(created, "status.loadBalancer"), {});
  const patched = await client.call("PATCH", {
    path: `${SERVICES}/lb/status`,
    contentType: "application/merge-patch+json",
    body: { status: { loadBalancer: { ingress } }, spec: { type: "ClusterIP" } },
  });
  equal(textAt(patched, "spec.type"), "LoadBalancer");
  deepStrictEqual(listAt(patched, "status.loadBalancer.ingress"), [
    { ip: "203.0.113.5", ipMode: "VIP" },
  ]);
  const { status: _status, ...withoutStatus } = patched;
  const put = await client.call("PUT", { path: `${SERVICES}/lb`, body: withoutStatus });
  equal(listAt(put, "status.loadBalancer.ingress").length, 1);
});

Deno.test("apiserver: generateName, dry run, finalizers, preconditions", async () => {
  await using lab = await openLab();
  const { client } = lab;
  const { metadata: _metadata, ...nameless } = slice("x");
  const generated = await client.call("POST", {
    path: SLICES,
    body: { ...nameless, metadata: { generateName: "web-" } },
  });
  match(textAt(generated, "metadata.name"), /^web-[a-z0-9]{5}$/);
  equal(valueAt(generated, "metadata.generation"), 1);
  await client.call("POST", { path: `${SERVICES}?dryRun=All`, body: service("dry") });
  equal((await client.request({ path: `${SERVICES}/dry` })).code, 404);

  const kept = service("kept", {}, { finalizers: ["example.com/wait"] });
  await client.call("POST", { path: SERVICES, body: kept });
  const precondition = { preconditions: { uid: "another" } };
  const path = `${SERVICES}/kept`;
  equal((await client.request({ method: "DELETE", path, body: precondition })).code, 409);
  const marked = await client.call("DELETE", { path });
  ok(textAt(marked, "metadata.deletionTimestamp") !== "");
  await client.call("PATCH", {
    path,
    contentType: "application/merge-patch+json",
    body: { metadata: { finalizers: null } },
  });
  equal((await client.request({ path })).code, 404);
});

Deno.test("apiserver: lists in pages show one moment", async () => {
  await using lab = await openLab();
  const { client, server } = lab;
  server.apply(...["a", "b", "c", "d", "e"].map((name) => service(name)));
  const first = await client.call("GET", { path: `${ALL_SERVICES}?limit=2` });
  const names = (list: JsonObject) =>
    objectsAt(list, "items").map((s) => textAt(s, "metadata.name"));
  deepStrictEqual(names(first), ["a", "b"]);
  equal(valueAt(first, "metadata.remainingItemCount"), 3);
  equal(objectsAt(first, "items")[0]?.["kind"], undefined, "items of a list have no kind");
  server.delete({ apiVersion: "v1", kind: "Service", name: "d" });
  const next = encodeURIComponent(textAt(first, "metadata.continue"));
  const second = await client.call("GET", { path: `${ALL_SERVICES}?limit=2&continue=${next}` });
  deepStrictEqual(names(second), ["c", "d"]);
  equal(textAt(second, "metadata.resourceVersion"), "105");
  const third = encodeURIComponent(textAt(second, "metadata.continue"));
  server.compact();
  const late = await client.request({ path: `${ALL_SERVICES}?limit=2&continue=${third}` });
  deepStrictEqual([late.code, late.body["reason"]], [410, "Expired"]);
  const now = encodeURIComponent(textAt(late.body, "metadata.continue"));
  deepStrictEqual(names(await client.call("GET", { path: `${ALL_SERVICES}?continue=${now}` })), [
    "e",
  ]);
});

Deno.test("apiserver: versions that a list may ask for", async (t) => {
  await using lab = await openLab();
  const { client, server } = lab;
  server.apply(service("a"), service("b"));
  const rows = [
    ["resourceVersion=0", 200],
    ["resourceVersion=101&resourceVersionMatch=NotOlderThan", 200],
    ["resourceVersion=102&resourceVersionMatch=Exact", 200],
    ["resourceVersion=101&resourceVersionMatch=Exact", 410],
    ["resourceVersion=999&resourceVersionMatch=NotOlderThan", 504],
    ["resourceVersionMatch=Exact", 422],
    ["resourceVersion=x", 400],
    ["continue=x", 400],
    ["limit=-1", 400],
  ] as const;
  for (const [query, want] of rows) {
    await t.step(`${query}: ${want}`, async () => {
      equal((await client.request({ path: `${ALL_SERVICES}?${query}` })).code, want);
    });
  }
});

const SELECTORS = [
  ["labelSelector=app=web", "a"],
  ["labelSelector=app==web", "a"],
  ["labelSelector=app!=web", "b c none"],
  ["labelSelector=app in (web,db)", "a b"],
  ["labelSelector=app notin (web,db)", "c none"],
  ["labelSelector=app", "a b c"],
  ["labelSelector=!app", "none"],
  ["labelSelector=app,tier=front", "a"],
  ["labelSelector=!service.kubernetes.io/service-proxy-name,app", "a b"],
  ["fieldSelector=metadata.name=b", "b"],
  ["fieldSelector=metadata.name!=b,metadata.namespace=default", "a c none"],
  ["fieldSelector=spec.clusterIP!=None", "a b none"],
  ["fieldSelector=spec.clusterIP=None", "c"],
  ["fieldSelector=spec.type=ClusterIP&labelSelector=app", "a b c"],
  ["fieldSelector=spec.ports=1", "400"],
  ["fieldSelector=metadata.name", "400"],
  ["labelSelector=app in web", "400"],
  ["labelSelector=-app", "400"],
  ["labelSelector=app=b c", "400"],
] as const;

Deno.test("apiserver: selectors", async (t) => {
  await using lab = await openLab();
  const { client, server } = lab;
  server.apply(
    service("a", {}, { labels: { app: "web", tier: "front" } }),
    service("b", {}, { labels: { app: "db" } }),
    service("c", { clusterIP: "None" }, {
      labels: { app: "cache", "service.kubernetes.io/service-proxy-name": "" },
    }),
    service("none"),
  );
  for (const [query, want] of SELECTORS) {
    await t.step(`${query}: ${want}`, async () => {
      const path = `${ALL_SERVICES}?${encodeURI(query)}`;
      const { code, body } = await client.request({ path });
      const names = objectsAt(body, "items").map((item) => textAt(item, "metadata.name"));
      equal(code === 200 ? names.join(" ") : String(code), want);
    });
  }
});

Deno.test("apiserver: a watch goes on from a version", async () => {
  await using lab = await openLab();
  const { client, server } = lab;
  server.apply(service("a"), service("b"));
  const watch = client.watch(`${ALL_SERVICES}?watch=1&resourceVersion=101`);
  deepStrictEqual((await take(watch, 1)).map(shown), ["ADDED b@102"]);
  server.apply(service("a", {}, { labels: { x: "y" } }));
  server.delete({ apiVersion: "v1", kind: "Service", name: "b" });
  const [modified, deleted] = await take(watch, 2);
  ok(modified && deleted);
  deepStrictEqual([shown(modified), shown(deleted)], ["MODIFIED a@103", "DELETED b@104"]);
  deepStrictEqual([modified.object["kind"], modified.object["apiVersion"]], ["Service", "v1"]);
  await watch.return(undefined);
});

Deno.test("apiserver: objects that begin or cease to match are added and deleted", async () => {
  await using lab = await openLab();
  const { client, server } = lab;
  const label = { "service.kubernetes.io/service-proxy-name": "other" };
  server.apply(service("a"), service("b", {}, { labels: label }));
  const selector = encodeURIComponent("!service.kubernetes.io/service-proxy-name");
  const watch = client.watch(
    `${ALL_SERVICES}?watch=1&resourceVersion=102&labelSelector=${selector}`,
  );
  const events = take(watch, 3);
  server.apply(service("a", {}, { labels: label }));
  server.apply(service("a", { sessionAffinity: "ClientIP" }, { labels: label }));
  server.apply(service("b", {}, { labels: { x: "y" } }));
  server.apply(service("b"));
  deepStrictEqual((await events).map(shown), ["DELETED a@103", "ADDED b@105", "MODIFIED b@106"]);
  await watch.return(undefined);
});

Deno.test("apiserver: WatchList sends the state, then a marked bookmark", async () => {
  await using lab = await openLab();
  const { client, server } = lab;
  server.apply(service("a"), service("b"));
  const query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan" +
    "&allowWatchBookmarks=true&resourceVersion=";
  const watch = client.watch(`${ALL_SERVICES}?${query}`);
  const [a, b, mark] = await take(watch, 3);
  ok(a && b && mark);
  deepStrictEqual([a, b, mark].map(shown), ["ADDED a@101", "ADDED b@102", "BOOKMARK @102"]);
  deepStrictEqual(valueAt(mark.object, "metadata.annotations"), {
    "k8s.io/initial-events-end": "true",
  });
  server.apply(service("c"));
  deepStrictEqual((await take(watch, 1)).map(shown), ["ADDED c@103"]);
  await watch.return(undefined);
});

Deno.test("apiserver: WatchList options that do not go together are refused", async () => {
  await using lab = await openLab();
  const { client } = lab;
  const path = `${ALL_SERVICES}?watch=1`;
  equal((await client.request({ path: `${path}&sendInitialEvents=true` })).code, 422);
  equal((await client.request({ path: `${path}&resourceVersionMatch=NotOlderThan` })).code, 422);
  await using old = await openLab({ watchList: false });
  const query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
  const refused = await old.client.request({ path: `${path}&${query}` });
  deepStrictEqual([refused.code, refused.body["reason"]], [422, "Invalid"]);
});

Deno.test("apiserver: bookmarks come periodically and before the time is over", async () => {
  await using lab = await openLab({ bookmarkIntervalMs: 300 });
  const { client, server } = lab;
  server.apply(service("a"));
  server.apply(slice("a-1"));
  const query = "watch=1&resourceVersion=101&allowWatchBookmarks=true&timeoutSeconds=1";
  const events = (await rest(client.watch(`${ALL_SERVICES}?${query}`))).map(shown);
  ok(events.length >= 3, events.join());
  deepStrictEqual([...new Set(events)], ["BOOKMARK @102"]);
  const silent = client.watch(`${ALL_SERVICES}?watch=1&resourceVersion=101&timeoutSeconds=1`);
  deepStrictEqual(await rest(silent), []);
});

Deno.test("apiserver: a watch from a compacted version gets an ERROR event", async () => {
  await using lab = await openLab({ historyLimit: 10 });
  const { client, server } = lab;
  for (let i = 0; i < 40; i++) server.apply(service("a", {}, { labels: { i: `${i}` } }));
  const events = await rest(client.watch(`${ALL_SERVICES}?watch=1&resourceVersion=101`));
  deepStrictEqual(events.map(({ type, object }) => [type, object["code"], object["reason"]]), [
    ["ERROR", 410, "Expired"],
  ]);
  const recent = client.watch(`${ALL_SERVICES}?watch=1&resourceVersion=139`);
  deepStrictEqual((await take(recent, 1)).map(shown), ["MODIFIED a@140"]);
  await recent.return(undefined);
});

Deno.test("apiserver: seeded objects stay as they are", async () => {
  await using lab = await openLab();
  const { client, server } = lab;
  server.seed({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "Bad Name", namespace: "x", resourceVersion: "1004" },
    spec: { clusterIP: "nonsense", ports: "none", unknown: true },
  });
  const list = await client.call("GET", { path: ALL_SERVICES });
  equal(textAt(list, "metadata.resourceVersion"), "1004");
  deepStrictEqual(objectsAt(list, "items")[0]?.["spec"], {
    clusterIP: "nonsense",
    ports: "none",
    unknown: true,
  });
});

Deno.test("apiserver: control paths drive it from another process", async () => {
  await using lab = await openLab();
  const { client } = lab;
  const items = [service("a"), service("b"), slice("a-1")];
  const bulk = await client.call("POST", { path: "/_bulk", body: { items } });
  deepStrictEqual(bulk, { items: 3, deleted: 0, version: 103 });
  const reference = { apiVersion: "v1", kind: "Service", namespace: "default", name: "a" };
  await client.call("POST", { path: "/_bulk?as=seed", body: { delete: [reference] } });
  await client.call("POST", { path: "/_faults", body: { kind: "error", code: 503, count: 1 } });
  equal((await client.request({ path: ALL_SERVICES })).code, 503);
  equal((await client.request({ path: ALL_SERVICES })).code, 200);
  equal(
    (await client.request({ method: "POST", path: "/_faults", body: { kind: "?" } })).code,
    400,
  );
  const stats = await client.call("GET", { path: "/_stats" });
  deepStrictEqual(valueAt(stats, "objects"), {
    servicecidrs: 0,
    nodes: 0,
    services: 1,
    endpointslices: 1,
    events: 0,
  });
  const watch = client.watch(`${ALL_SERVICES}?watch=1`);
  equal((await take(watch, 1)).length, 1);
  deepStrictEqual(await client.call("POST", { path: "/_watches", body: { how: "end" } }), {
    watches: 1,
  });
  deepStrictEqual(await rest(watch), []);
});

Deno.test("apiserver: answers JSON to who asks for protobuf, reads YAML, says what it has", async () => {
  await using lab = await openLab();
  const { client } = lab;
  const accept = "application/vnd.kubernetes.protobuf,application/json";
  const answer = await client.request({ path: ALL_SERVICES, accept });
  equal(answer.headers["content-type"], "application/json");
  const yaml = "apiVersion: v1\nkind: Service\nmetadata: {name: y}\nspec: {ports: [{port: 1}]}\n";
  await client.call("POST", { path: SERVICES, body: yaml, contentType: "application/yaml" });
  equal(objectsAt(await client.call("GET", { path: ALL_SERVICES }), "items").length, 1);
  const bad = await client.request({ method: "POST", path: SERVICES, body: "{" });
  equal(bad.code, 400);
  deepStrictEqual(
    objectsAt(await client.call("GET", { path: "/apis" }), "groups").map(({ name }) => name).sort(),
    ["discovery.k8s.io", "events.k8s.io", "networking.k8s.io"],
  );
  deepStrictEqual(
    objectsAt(await client.call("GET", { path: "/api/v1" }), "resources").map(({ name }) => name),
    ["nodes", "nodes/status", "services", "services/status"],
  );
});

Deno.test("apiserver: a new cluster has its ServiceCIDR and the service of the API", async () => {
  await using lab = await openLab({ bootstrap: true });
  const kubernetes = lab.server.get({ apiVersion: "v1", kind: "Service", name: "kubernetes" });
  equal(textAt(kubernetes, "spec.clusterIP"), "10.96.0.1");
  const [cidr] = lab.server.list("networking.k8s.io/v1", "ServiceCIDR");
  deepStrictEqual(textsAt(cidr, "spec.cidrs"), ["10.96.0.0/12", "fd00:10:96::/108"]);
});

Deno.test("apiserver: writes the files that a node has", async () => {
  await using lab = await openLab();
  const directory = await Deno.makeTempDir();
  try {
    const files = await lab.server.writeFiles(directory);
    const read = (name: string) => Deno.readTextFile(files[name] ?? name);
    using client = new ApiClient(lab.server.url, {
      ca: await read("ca.crt"),
      cert: await read("proxy.crt"),
      key: await read("proxy.key"),
    });
    equal((await client.request({ path: ALL_SERVICES })).code, 200);
    match(await read("proxy-token.kubeconfig"), /tokenFile: .*proxy\.token/);
    match(await read("proxy.kubeconfig"), /current-context: vipd/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
