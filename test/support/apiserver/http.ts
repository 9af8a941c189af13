/**
 * The HTTP face: paths to requests, bodies in, JSON and Status objects out. Verbs are those of the
 * Kubernetes API, so curl and kubectl work.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { parse as parseYaml } from "yaml";
import { authenticate, authorize, authorizePath, type User, type Verb } from "./auth.ts";
import { handleControl, isControlPath } from "./control.ts";
import { discover } from "./discovery.ts";
import type { Fault } from "./faults.ts";
import { isObject, type Json, type JsonObject, objectAt, textAt } from "./json.ts";
import { listObjects } from "./listing.ts";
import { preconditionsOf, type Target, typed, type WriteOptions } from "./registry.ts";
import { findResource, type Resource } from "./resources.ts";
import { parseSelectors } from "./selectors.ts";
import type { ServerState } from "./state.ts";
import {
  badRequest,
  expired,
  methodNotAllowed,
  noSuchPath,
  notFound,
  StatusError,
} from "./status.ts";
import { keyOf } from "./store.ts";
import { parseWatch, startWatch } from "./watching.ts";

/** One request on its way through. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly user: User;
}

/** Answers one request. Never throws. */
export async function handleRequest(
  state: ServerState,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  state.requestCount++;
  try {
    const user = authenticate(request, state.tokens);
    const url = new URL(request.url ?? "/", "https://apiserver");
    await route(state, { request, response, url, user });
  } catch (error) {
    answerError(response, error);
  }
}

function answerError(response: ServerResponse, error: unknown): void {
  const status = error instanceof StatusError
    ? error
    : new StatusError(500, "InternalError", `Internal error occurred: ${String(error)}`);
  if (response.headersSent || response.destroyed) return void response.socket?.destroy();
  const { retryAfterSeconds } = status.detail;
  if (retryAfterSeconds !== undefined) response.setHeader("retry-after", retryAfterSeconds);
  answerJson(response, { code: status.code, text: JSON.stringify(status.toStatus()) });
}

/** Sends JSON text. */
export function answerJson(
  response: ServerResponse,
  { code, text }: { code: number; text: string },
): void {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(text);
}

async function route(state: ServerState, exchange: Exchange): Promise<void> {
  const { url, user, response } = exchange;
  const path = url.pathname.replace(/\/+$/, "") || "/";
  const parsed = parsePath(path);
  if (parsed) return await handleResource(state, { ...exchange, ...parsed });
  authorizePath(user, path);
  if (isControlPath(path)) {
    const body = exchange.request.method === "POST" ? await readBody(exchange) : undefined;
    return handleControl(state, { ...exchange, path, body });
  }
  const text = discover(path);
  if (text === undefined) throw noSuchPath();
  if (path.endsWith("z")) response.writeHead(200, { "content-type": "text/plain" }).end(text);
  else answerJson(response, { code: 200, text });
}

const PATH =
  /^\/(?:api\/(?<core>v1)|apis\/(?<group>[^/]+)\/(?<version>[^/]+))(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<plural>[^/]+)(?:\/(?<name>[^/]+)(?:\/(?<subresource>[^/]+))?)?$/;

function parsePath(path: string): Target | undefined {
  const parts = PATH.exec(path)?.groups;
  if (!parts) return undefined;
  const resource = findResource({
    group: parts["group"] ?? "",
    version: parts["core"] ?? parts["version"] ?? "",
    plural: parts["plural"] ?? "",
  });
  if (!resource) return undefined;
  return {
    resource,
    namespace: decodeURIComponent(parts["namespace"] ?? ""),
    name: decodeURIComponent(parts["name"] ?? ""),
    subresource: parts["subresource"] ?? "",
  };
}

type ResourceExchange = Exchange & Target;

async function handleResource(state: ServerState, exchange: ResourceExchange): Promise<void> {
  const verb = verbOf(exchange);
  const { user, resource, subresource, namespace, name } = exchange;
  authorize(user, { verb, resource, subresource, namespace });
  if (subresource !== "" && !(subresource === "status" && resource.hasStatus)) throw noSuchPath();
  if (!resource.isNamespaced && namespace !== "") throw noSuchPath();
  const isNameless = resource.isNamespaced && namespace === "" && name !== "";
  if (isNameless || (verb === "create" && resource.isNamespaced && namespace === "")) {
    throw methodNotAllowed();
  }
  const fault = state.faults.strike({ at: "request", resource: resource.plural, verb });
  if (fault && await misbehave(state, { exchange, fault, verb })) return;
  if (verb === "watch") return openWatch(state, exchange);
  const { code, text } = await perform(state, { exchange, verb });
  answerJson(exchange.response, { code, text });
}

function verbOf({ request, url, name }: ResourceExchange): Verb {
  const isWatch = ["true", "1"].includes(url.searchParams.get("watch") ?? "");
  switch (request.method) {
    case "GET":
      return name !== "" ? "get" : isWatch ? "watch" : "list";
    case "POST":
      if (name === "") return "create";
      break;
    case "PUT":
      if (name !== "") return "update";
      break;
    case "PATCH":
      if (name !== "") return "patch";
      break;
    case "DELETE":
      return name === "" ? "deletecollection" : "delete";
  }
  throw methodNotAllowed();
}

function openWatch(state: ServerState, { url, response, resource, namespace }: ResourceExchange) {
  const request = { resource, namespace, query: url.searchParams };
  const watch = startWatch(state, { options: parseWatch(state, request), response });
  state.watches.add(watch);
  response.on("close", () => state.watches.delete(watch));
}

interface Answer {
  readonly code: number;
  readonly text: string;
}

async function perform(
  state: ServerState,
  { exchange, verb }: { exchange: ResourceExchange; verb: Verb },
): Promise<Answer> {
  const { url, resource, namespace } = exchange;
  const { registry, store } = state;
  const query = url.searchParams;
  const options: WriteOptions = {
    isDryRun: query.get("dryRun") === "All",
    isStrict: query.get("fieldValidation") === "Strict",
  };
  switch (verb) {
    case "list":
      return { code: 200, text: listObjects(store, { resource, namespace, query }) };
    case "get": {
      const entry = store.get(resource, keyOf(resource, exchange));
      if (!entry) throw notFound(resource.plural, exchange.name);
      return json(200, typed(resource, entry));
    }
    case "create": {
      const body = await readBody(exchange);
      return json(201, registry.create(exchange, { body, ...options }));
    }
    case "update":
      return json(200, registry.update(exchange, { body: await readBody(exchange), ...options }));
    case "patch": {
      const contentType = mediaType(exchange.request);
      const body = await readBody(exchange);
      return json(200, registry.patch(exchange, { contentType, body, ...options }));
    }
    case "delete": {
      const preconditions = preconditionsOf(await readBody(exchange));
      const isDryRun = options.isDryRun ?? false;
      const gone = registry.delete(exchange, { isDryRun, ...(preconditions && { preconditions }) });
      return json(200, deletedStatus(exchange.resource, gone));
    }
    default:
      await readBody(exchange);
      return json(200, deleteCollection(state, exchange));
  }
}

function json(code: number, value: JsonObject): Answer {
  return { code, text: JSON.stringify(value) };
}

function deletedStatus(resource: Resource, gone: JsonObject): JsonObject {
  if (textAt(gone, "metadata.deletionTimestamp") !== "") return gone;
  const { name, uid } = objectAt(gone, "metadata");
  const details: JsonObject = { name, uid, kind: resource.plural };
  if (resource.group !== "") details["group"] = resource.group;
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details };
}

function deleteCollection(state: ServerState, exchange: ResourceExchange): JsonObject {
  const { resource, namespace, url } = exchange;
  const matches = parseSelectors(url.searchParams, resource);
  for (const entry of state.store.list(resource)) {
    if ((namespace !== "" && entry.namespace !== namespace) || !matches(entry.object)) continue;
    const name = textAt(entry.object, "metadata.name");
    state.registry.delete({ resource, namespace: entry.namespace, name, subresource: "" });
  }
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" };
}

/** True when the fault was all the answer. */
async function misbehave(
  state: ServerState,
  { exchange, fault, verb }: { exchange: ResourceExchange; fault: Fault; verb: Verb },
): Promise<boolean> {
  const { response } = exchange;
  switch (fault.kind) {
    case "delay":
      await state.sleep(fault.delayMs ?? 1_000);
      return response.destroyed;
    case "error":
      throw errorOnDemand(fault);
    case "expired":
      if (verb !== "watch") throw expired("fault on demand: too old resource version");
      answerJson(response, {
        code: 200,
        text: `{"type":"ERROR","object":${
          JSON.stringify(expired("fault on demand: too old resource version").toStatus())
        }}\n`,
      });
      return true;
    case "drop":
      response.socket?.destroy();
      return true;
    case "end":
      response.writeHead(200, { "content-type": "application/json" }).end();
      return true;
    case "garbage":
      response.writeHead(200, { "content-type": "text/html" }).end("<html>gateway</html>");
      return true;
    case "truncate":
      await truncate(state, { exchange, verb });
      return true;
    case "hang":
      return true;
  }
}

async function truncate(
  state: ServerState,
  { exchange, verb }: { exchange: ResourceExchange; verb: Verb },
): Promise<void> {
  const { response } = exchange;
  const text = verb === "watch"
    ? '{"type":"ADDED","object":{"kind":"Ser'
    : (await perform(state, { exchange, verb })).text;
  response.writeHead(200, { "content-type": "application/json" });
  response.write(text.slice(0, Math.ceil(text.length / 2)), () => response.socket?.destroy());
}

function errorOnDemand(fault: Fault): StatusError {
  const code = fault.code ?? 500;
  const reason = ERROR_REASONS[code] ?? "InternalError";
  const { retryAfterSeconds } = fault;
  return new StatusError(
    code,
    reason,
    `fault on demand: ${reason}`,
    retryAfterSeconds === undefined ? {} : { retryAfterSeconds },
  );
}

const ERROR_REASONS: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  410: "Expired",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

function mediaType(request: IncomingMessage): string {
  return (request.headers["content-type"] ?? "application/json").split(";")[0]?.trim() ?? "";
}

async function readBody({ request }: Exchange): Promise<Json> {
  const type = mediaType(request);
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8");
  if (text.trim() === "") return {};
  if (type.includes("protobuf")) {
    throw new StatusError(415, "UnsupportedMediaType", "this server reads JSON and YAML only");
  }
  try {
    const body: unknown = type.endsWith("yaml") ? parseYaml(text) : JSON.parse(text);
    return decodeJson(body);
  } catch (cause) {
    throw badRequest(`cannot parse the body of the request: ${String(cause)}`);
  }
}

function decodeJson(value: unknown): Json {
  if (isObject(value) || Array.isArray(value)) return value as Json;
  throw new TypeError("not an object");
}
