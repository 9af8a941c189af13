/**
 * LIST: selectors, pages with `limit` and `continue`, and what `resourceVersion` asks for.
 *
 * Pages after the first are read from the snapshot of the first, so a client sees one moment; when
 * it is forgotten the answer is 410 with a token that goes on in the present.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { badRequest, expired, invalid, StatusError } from "./status.ts";
import { apiVersionOf, type Resource } from "./resources.ts";
import type { Entry, Store } from "./store.ts";
import { parseSelectors } from "./selectors.ts";

/** What a list request asks for. */
export interface ListRequest {
  readonly resource: Resource;
  /** "": all namespaces. */
  readonly namespace: string;
  readonly query: URLSearchParams;
}

/** JSON text of the list. Throws StatusError. */
export function listObjects(store: Store, request: ListRequest): string {
  const { resource, namespace, query } = request;
  const matches = parseSelectors(query, resource);
  const limit = wholeNumber(query, "limit");
  const token = query.get("continue") ?? "";
  const page = token === ""
    ? firstPage(store, request)
    : laterPage(store, { ...request, token: decodeToken(token) });
  const picked: Entry[] = [];
  let rest = 0;
  for (const entry of page.entries) {
    if ((namespace !== "" && entry.namespace !== namespace) || !matches(entry.object)) continue;
    if (limit > 0 && picked.length >= limit) rest++;
    else picked.push(entry);
  }
  const last = picked.at(-1);
  const metadata: Record<string, unknown> = { resourceVersion: String(page.version) };
  if (rest > 0 && last) {
    if (token === "") store.saveSnapshot(resource, page.entries);
    metadata["continue"] = encodeToken({ version: page.version, after: last.key });
    // Only without selectors the real server knows how many there are.
    if (!query.get("labelSelector") && !query.get("fieldSelector")) {
      metadata["remainingItemCount"] = rest;
    }
  }
  const head = { kind: `${resource.kind}List`, apiVersion: apiVersionOf(resource), metadata };
  const items = picked.map((entry) => entry.json).join(",");
  return `${JSON.stringify(head).slice(0, -1)},"items":[${items}]}\n`;
}

interface Page {
  readonly version: number;
  readonly entries: readonly Entry[];
}

function firstPage(store: Store, { resource, query }: ListRequest): Page {
  const match = query.get("resourceVersionMatch") ?? "";
  const version = wholeNumber(query, "resourceVersion");
  if (match !== "" && !query.get("resourceVersion")) {
    throw forbiddenOption(
      "resourceVersionMatch",
      "resourceVersionMatch is forbidden unless resourceVersion is provided",
    );
  }
  if (!["", "Exact", "NotOlderThan"].includes(match)) {
    throw forbiddenOption("resourceVersionMatch", `unsupported value: "${match}"`);
  }
  if (query.has("sendInitialEvents") && query.get("watch") !== "true") {
    throw forbiddenOption("sendInitialEvents", "sendInitialEvents is forbidden for list");
  }
  if (match === "Exact") {
    if (version === 0) throw forbiddenOption("resourceVersionMatch", 'is forbidden for "0"');
    const entries = version === store.version
      ? store.list(resource)
      : store.snapshot(resource, version);
    if (!entries && version < store.version) {
      throw expired(`The resourceVersion for the provided list is too old: ${version}`);
    }
    if (entries) return { version, entries };
  }
  if (version > store.version) throw tooLarge(version, store.version);
  return { version: store.version, entries: store.list(resource) };
}

function laterPage(
  store: Store,
  { resource, query, token }: ListRequest & { token: Token },
): Page {
  if (query.get("resourceVersion") && query.get("resourceVersion") !== "0") {
    throw badRequest("specifying resource version is not allowed when using continue");
  }
  const isPresent = token.version === -1;
  const entries = isPresent ? store.list(resource) : store.snapshot(resource, token.version);
  if (!entries) {
    throw expired(
      "The provided continue parameter is too old to display a consistent list result. " +
        "Start a new list without it, or use the token of this answer to go on in the present",
      encodeToken({ version: -1, after: token.after }),
    );
  }
  const version = isPresent ? store.version : token.version;
  return { version, entries: entries.filter((entry) => entry.key > token.after) };
}

interface Token {
  /** -1: whatever is there now. */
  readonly version: number;
  readonly after: string;
}

function encodeToken(token: Token): string {
  return Buffer.from(JSON.stringify([token.version, token.after])).toString("base64url");
}

function decodeToken(text: string): Token {
  try {
    const [version, after]: unknown[] = JSON.parse(Buffer.from(text, "base64url").toString());
    if (typeof version === "number" && typeof after === "string") return { version, after };
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
  }
  throw badRequest("continue key is not valid");
}

/** A whole number of the query, 0 when absent. Throws a 400 StatusError. */
export function wholeNumber(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? "";
  if (text === "") return 0;
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw badRequest(`invalid ${name} "${text}": not a whole number`);
  }
  return value;
}

/** 422 for list and watch options that do not go together. */
export function forbiddenOption(field: string, message: string): StatusError {
  return invalid({ kind: "ListOptions", group: "meta.k8s.io", name: "" }, [
    { reason: "FieldValueForbidden", field, message: `Forbidden: ${message}` },
  ]);
}

function tooLarge(wanted: number, current: number): StatusError {
  const message = `Too large resource version: ${wanted}, current: ${current}`;
  return new StatusError(504, "Timeout", message, {
    retryAfterSeconds: 1,
    causes: [{
      reason: "ResourceVersionTooLarge",
      message: "Too large resource version",
      field: "",
    }],
  });
}
