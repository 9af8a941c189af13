/**
 * Paths that no real API server has, for tests and benchmarks that drive the server from another
 * process (credentials of an administrator needed):
 *
 *     GET    /_faults                what is switched on, with strikes
 *     POST   /_faults                switch on: {"kind":"error","code":429,"retryAfterSeconds":1,"count":3}
 *     DELETE /_faults                switch all off
 *     POST   /_watches               {"how":"drop"|"end"|"hang","resource":"services"}: strike running watches
 *     POST   /_connections           close all connections at once
 *     POST   /_compact               forget the past: later watches and pages get 410
 *     POST   /_bulk[?as=seed|apply]  {"items":[objects],"delete":[{apiVersion,kind,namespace,name}]}
 *     GET    /_stats                 versions, counts of objects, watches and requests
 *
 * @module
 */

import type { ServerResponse } from "node:http";
import { type Fault, FAULT_KINDS } from "./faults.ts";
import { isObject, type Json, type JsonObject, objectsAt, textAt } from "./json.ts";
import { resourceOfKind, RESOURCES } from "./resources.ts";
import type { ServerState } from "./state.ts";
import { badRequest, methodNotAllowed } from "./status.ts";
import { keyOf } from "./store.ts";

const PATHS = ["/_faults", "/_watches", "/_connections", "/_compact", "/_bulk", "/_stats"];

/** True for a path of this module. */
export function isControlPath(path: string): boolean {
  return PATHS.includes(path);
}

/** A request to a control path. */
export interface ControlRequest {
  readonly request: { readonly method?: string | undefined };
  readonly response: ServerResponse;
  readonly url: URL;
  readonly path: string;
  readonly body: Json | undefined;
}

/** Answers it. Throws StatusError. */
export function handleControl(state: ServerState, control: ControlRequest): void {
  const answer = actions[`${control.request.method} ${control.path}`]?.(state, control);
  if (!answer) throw methodNotAllowed();
  control.response.writeHead(200, { "content-type": "application/json" });
  control.response.end(JSON.stringify(answer), () => {
    if (control.path === "/_connections") state.killConnections();
  });
}

type Action = (state: ServerState, control: ControlRequest) => object;

const actions: Readonly<Record<string, Action>> = {
  "GET /_faults": ({ faults }) => ({ items: faults.list() }),
  "POST /_faults": ({ faults }, { body }) => faults.add(decodeFault(body)),
  "DELETE /_faults": ({ faults }) => {
    faults.clear();
    return { items: [] };
  },
  "POST /_watches": ({ watches }, { body }) => {
    const how = textAt(body, "how") || "drop";
    if (how !== "drop" && how !== "end" && how !== "hang") {
      throw badRequest(`cannot ${how} a watch`);
    }
    const resource = textAt(body, "resource");
    const struck = [...watches].filter((watch) =>
      resource === "" || watch.resource.plural === resource
    );
    for (const watch of struck) watch.stop(how);
    return { watches: struck.length };
  },
  "POST /_connections": () => ({ killed: true }),
  "POST /_compact": ({ store }) => {
    store.compact();
    return { version: store.version };
  },
  "POST /_bulk": (state, { body, url }) => bulk(state, { body, as: url.searchParams.get("as") }),
  "GET /_stats": ({ store, watches, requestCount }) => ({
    version: store.version,
    objects: Object.fromEntries(RESOURCES.map((r) => [r.plural, store.count(r)])),
    watches: watches.size,
    requests: requestCount,
  }),
};

function bulk(
  { registry, store }: ServerState,
  { body, as }: { body: Json | undefined; as: string | null },
): JsonObject {
  const items = Array.isArray(body) ? body.filter(isObject) : objectsAt(body, "items");
  for (const item of items) {
    if (as === "seed") registry.seed(item);
    else registry.apply(item);
  }
  const doomed = objectsAt(body, "delete");
  for (const reference of doomed) deleteReferenced(store, reference);
  return { items: items.length, deleted: doomed.length, version: store.version };
}

function deleteReferenced(store: ServerState["store"], reference: JsonObject): void {
  const kind = textAt(reference, "kind");
  const resource = resourceOfKind(textAt(reference, "apiVersion"), kind);
  if (!resource) throw badRequest(`no resource for "${kind}"`);
  const where = { namespace: textAt(reference, "namespace"), name: textAt(reference, "name") };
  store.delete(resource, keyOf(resource, where));
}

/** Throws a 400 StatusError. */
function decodeFault(body: Json | undefined): Fault {
  const kind = FAULT_KINDS.find((known) => known === textAt(body, "kind"));
  if (!kind || !isObject(body)) throw badRequest(`unknown fault ${JSON.stringify(body)}`);
  return { ...body, kind } as Fault;
}
