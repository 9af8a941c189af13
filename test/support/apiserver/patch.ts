/**
 * PATCH: JSON merge patch (RFC 7386), JSON patch (RFC 6902), and strategic merge patch as far as
 * the kinds served here have lists that merge by key.
 *
 * @module
 */

import { isEqual, isObject, type Json, type JsonObject } from "./json.ts";
import { badRequest, StatusError } from "./status.ts";

/** The patched object. Throws StatusError: 400, 415, 422. */
export function applyPatch(
  object: JsonObject,
  patch: { readonly contentType: string; readonly body: Json },
): JsonObject {
  const patched = patchByType(object, patch);
  if (!isObject(patched)) throw badRequest("cannot apply patch: the result is not an object");
  return patched;
}

function patchByType(
  object: JsonObject,
  { contentType, body }: { contentType: string; body: Json },
): Json {
  switch (contentType) {
    case "application/merge-patch+json":
      return mergePatch(object, body);
    case "application/strategic-merge-patch+json":
      return strategicMerge(object, { patch: body, path: "" });
    case "application/json-patch+json":
      return jsonPatch(object, body);
    default:
      throw new StatusError(
        415,
        "UnsupportedMediaType",
        `the body of the request was in an unknown format: "${contentType}"; accepted are ` +
          "json-patch+json, merge-patch+json and strategic-merge-patch+json",
      );
  }
}

function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const merged: JsonObject = isObject(target) ? { ...target } : {};
  for (const [field, value] of Object.entries(patch)) {
    if (value === null || value === undefined) delete merged[field];
    else merged[field] = mergePatch(merged[field], value);
  }
  return merged;
}

/** Lists that are merged by a key, by path without indices. All other lists are replaced. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  "spec.ports": "port",
  "status.conditions": "type",
  "status.addresses": "type",
  "metadata.ownerReferences": "uid",
};
/** Lists of plain values that grow by what is in the patch. */
const UNION_LISTS: readonly string[] = ["metadata.finalizers", "spec.podCIDRs"];

function strategicMerge(
  target: Json | undefined,
  { patch, path }: { patch: Json; path: string },
): Json {
  const mergeKey = MERGE_KEYS[path];
  if (Array.isArray(patch) && Array.isArray(target) && mergeKey !== undefined) {
    return mergeByKey(target, { patch, path, mergeKey });
  }
  if (Array.isArray(patch) && Array.isArray(target) && UNION_LISTS.includes(path)) {
    return [...target, ...patch.filter((item) => !target.some((other) => isEqual(item, other)))];
  }
  if (!isObject(patch)) return patch;
  const { $patch: directive, ...fields } = patch;
  if (directive === "replace") return fields;
  if (directive === "delete") return {};
  const merged: JsonObject = isObject(target) ? { ...target } : {};
  for (const [field, value] of Object.entries(fields)) {
    // Element order and primitive deletion directives matter to nobody here.
    if (field.startsWith("$")) continue;
    const childPath = path === "" ? field : `${path}.${field}`;
    if (value === null || value === undefined) delete merged[field];
    else merged[field] = strategicMerge(merged[field], { patch: value, path: childPath });
  }
  return merged;
}

function mergeByKey(
  target: Json[],
  { patch, path, mergeKey }: { patch: Json[]; path: string; mergeKey: string },
): Json[] {
  const merged = [...target];
  for (const item of patch) {
    if (!isObject(item) || (item[mergeKey] === undefined && item["$patch"] === undefined)) {
      throw badRequest(`cannot apply patch: an item of ${path} has no "${mergeKey}"`);
    }
    if (item["$patch"] === "replace") return patch.filter((other) => other !== item);
    const index = merged.findIndex((other) =>
      isObject(other) && other[mergeKey] === item[mergeKey]
    );
    if (item["$patch"] === "delete") {
      if (index >= 0) merged.splice(index, 1);
    } else if (index < 0) merged.push(item);
    else merged[index] = strategicMerge(merged[index], { patch: item, path: `${path}[]` });
  }
  return merged;
}

function jsonPatch(object: JsonObject, operations: Json): Json {
  if (!Array.isArray(operations)) throw badRequest("cannot apply JSON patch: not an array");
  let result: Json = structuredClone(object);
  for (const operation of operations) {
    if (!isObject(operation)) throw badRequest("cannot apply JSON patch: not an object");
    result = applyOperation(result, operation);
  }
  return result;
}

function applyOperation(document: Json, operation: JsonObject): Json {
  const { op, path, from, value } = operation;
  const target = parsePointer(path);
  switch (op) {
    case "add":
      return setAt(document, { path: target, value: value ?? null, mode: "add" });
    case "replace":
      return setAt(document, { path: target, value: value ?? null, mode: "replace" });
    case "remove":
      return setAt(document, { path: target, value: undefined, mode: "remove" });
    case "test":
      if (isEqual(getAt(document, target), value ?? null)) return document;
      throw unprocessable(`testing path ${JSON.stringify(path)} failed`);
    case "copy":
    case "move": {
      const source = parsePointer(from);
      const moved = structuredClone(getAt(document, source));
      const rest = op === "copy"
        ? document
        : setAt(document, { path: source, value: undefined, mode: "remove" });
      return setAt(rest, { path: target, value: moved, mode: "add" });
    }
    default:
      throw badRequest(`cannot apply JSON patch: unknown operation ${JSON.stringify(op)}`);
  }
}

function parsePointer(pointer: Json | undefined): string[] {
  if (typeof pointer !== "string" || (pointer !== "" && !pointer.startsWith("/"))) {
    throw badRequest(`cannot apply JSON patch: bad path ${JSON.stringify(pointer)}`);
  }
  return pointer.split("/").slice(1).map((part) =>
    part.replaceAll("~1", "/").replaceAll("~0", "~")
  );
}

function getAt(document: Json, path: readonly string[]): Json {
  let value: Json | undefined = document;
  for (const part of path) {
    if (Array.isArray(value)) value = value[Number(part)];
    else value = isObject(value) ? value[part] : undefined;
  }
  if (value === undefined) throw unprocessable(`path /${path.join("/")} does not exist`);
  return value;
}

interface Assignment {
  readonly path: readonly string[];
  readonly value: Json | undefined;
  readonly mode: "add" | "replace" | "remove";
}

function setAt(document: Json, { path, value, mode }: Assignment): Json {
  const last = path.at(-1);
  if (last === undefined) return value ?? null;
  if (mode !== "add") getAt(document, path);
  const parent = getAt(document, path.slice(0, -1));
  if (Array.isArray(parent)) {
    const index = last === "-" ? parent.length : Number(last);
    if (!Number.isInteger(index) || index < 0 || index > parent.length) {
      throw unprocessable(`index "${last}" is out of bounds`);
    }
    parent.splice(index, mode === "add" ? 0 : 1, ...(value === undefined ? [] : [value]));
  } else if (isObject(parent)) {
    if (value === undefined) delete parent[last];
    else parent[last] = value;
  } else throw unprocessable(`path /${path.join("/")} does not exist`);
  return document;
}

function unprocessable(message: string): StatusError {
  return new StatusError(422, "Invalid", `the server rejected our request: ${message}`);
}
