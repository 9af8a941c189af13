/**
 * Writes: create, update, patch, delete, with defaults, validation, allocation and optimistic
 * concurrency. Synchronous, so a write is one moment.
 *
 * @module
 */

import type { Allocation } from "./allocation.ts";
import { Causes } from "./checks.ts";
import {
  decodeObject,
  isEqual,
  isObject,
  type Json,
  type JsonObject,
  listAt,
  numberAt,
  objectAt,
  textAt,
  valueAt,
  withoutEmpty,
} from "./json.ts";
import { KIND_RULES } from "./kinds.ts";
import { applyPatch } from "./patch.ts";
import { apiVersionOf, type Resource, resourceOfKind } from "./resources.ts";
import { decodeTyped } from "./schema.ts";
import { allocateService } from "./service_defaults.ts";
import { alreadyExists, badRequest, conflict, invalid, notFound } from "./status.ts";
import { type Entry, keyOf, type Store } from "./store.ts";

/** Which object, and which part of it. */
export interface Target {
  readonly resource: Resource;
  /** "" for cluster-wide ones. */
  readonly namespace: string;
  readonly name: string;
  /** "" or "status". */
  readonly subresource: string;
}

/** How a write is done. */
export interface WriteOptions {
  /** Check everything, store nothing. */
  readonly isDryRun?: boolean;
  /** Refuse unknown fields. */
  readonly isStrict?: boolean;
  /** Take status from the object too, as if both were written. */
  readonly keepsStatus?: boolean;
}

/** A stored object, and whether it is new. */
export interface Written {
  readonly object: JsonObject;
  readonly isNew: boolean;
}

/** All writes to a store. */
export class Registry {
  constructor(
    private readonly store: Store,
    private readonly options: { readonly allocation: Allocation; readonly validates: boolean },
  ) {}

  /** Throws StatusError: 400, 409, 422. */
  create(
    target: Omit<Target, "name" | "subresource">,
    { body, ...options }: WriteOptions & { body: Json },
  ): JsonObject {
    const { resource, namespace } = target;
    const decoded = decodeTyped(resource, { body, isStrict: options.isStrict ?? false });
    const metadata: JsonObject = { ...objectAt(decoded, "metadata") };
    checkNamespace(target, metadata);
    if (textAt(metadata, "name") === "" && textAt(metadata, "generateName") !== "") {
      metadata["name"] = `${textAt(metadata, "generateName").slice(0, 58)}${randomSuffix()}`;
    }
    if (resource.isNamespaced) metadata["namespace"] = namespace;
    const name = textAt(metadata, "name");
    const key = keyOf(resource, { namespace, name });
    if (this.store.get(resource, key)) throw alreadyExists(resource.plural, name);
    if (textAt(metadata, "resourceVersion") !== "") {
      throw badRequest("resourceVersion should not be set on objects to be created");
    }
    metadata["uid"] = crypto.randomUUID();
    metadata["creationTimestamp"] = secondsNow();
    delete metadata["deletionTimestamp"];
    if (resource.hasGeneration) metadata["generation"] = 1;
    const { status: _status, ...withoutStatus } = decoded;
    const dropsStatus = resource.resetsStatus && !options.keepsStatus;
    const object = { ...(dropsStatus ? withoutStatus : decoded), metadata };
    return this.#commit({ resource, object, old: undefined }, options);
  }

  /** PUT. Creates nothing. Throws StatusError: 400, 404, 409, 422. */
  update(target: Target, { body, ...options }: WriteOptions & { body: Json }): JsonObject {
    const { resource } = target;
    const old = this.#require(target);
    const decoded = decodeTyped(resource, { body, isStrict: options.isStrict ?? false });
    checkNamespace(target, objectAt(decoded, "metadata"));
    const name = textAt(decoded, "metadata.name");
    if (name !== target.name) {
      throw badRequest(`the name of the object (${name}) does not match the URL (${target.name})`);
    }
    return this.#replace({ target, old, wanted: decoded }, options);
  }

  /** PATCH. Throws StatusError: 400, 404, 409, 415, 422. */
  patch(
    target: Target,
    { contentType, body, ...options }: WriteOptions & { contentType: string; body: Json },
  ): JsonObject {
    const { resource } = target;
    const old = this.#require(target);
    const patched = applyPatch(typed(resource, old), { contentType, body });
    const decoded = decodeTyped(resource, { body: patched, isStrict: options.isStrict ?? false });
    if (textAt(decoded, "metadata.name") !== target.name) {
      throw badRequest("the name of an object cannot be changed");
    }
    return this.#replace({ target, old, wanted: decoded }, options);
  }

  /** DELETE; with finalizers only marks the object. Throws StatusError: 404, 409. */
  delete(
    target: Target,
    { preconditions, isDryRun }: { preconditions?: JsonObject; isDryRun?: boolean } = {},
  ): JsonObject {
    const { resource, name } = target;
    const entry = this.#require(target);
    for (const [field, wanted] of Object.entries(preconditions ?? {})) {
      if (objectAt(entry.object, "metadata")[field] !== wanted) {
        throw conflict(resource.plural, name);
      }
    }
    const metadata = objectAt(entry.object, "metadata");
    if (isDryRun) return typed(resource, entry);
    if (listAt(metadata, "finalizers").length > 0) {
      if (metadata["deletionTimestamp"]) return typed(resource, entry);
      const marked = {
        ...metadata,
        deletionTimestamp: secondsNow(),
        deletionGracePeriodSeconds: 0,
      };
      return typed(
        resource,
        this.store.put(resource, { object: { ...entry.object, metadata: marked } }),
      );
    }
    const gone = this.store.delete(resource, entry.key);
    return gone ? typed(resource, gone) : {};
  }

  /** Creates or replaces, status included, as a controller and a user together would. */
  apply(value: object): Written {
    const body = decodeObject(value);
    const resource = resourceOf(body);
    const metadata = objectAt(body, "metadata");
    const namespace = resource.isNamespaced ? textAt(metadata, "namespace") || "default" : "";
    const name = textAt(metadata, "name");
    const { resourceVersion: _version, uid: _uid, ...rest } = metadata;
    const clean = { ...body, metadata: rest };
    const exists = this.store.get(resource, keyOf(resource, { namespace, name })) !== undefined;
    const object = exists && name !== ""
      ? this.update({ resource, namespace, name, subresource: "" }, {
        body: clean,
        keepsStatus: body["status"] !== undefined,
      })
      : this.create({ resource, namespace }, { body: clean, keepsStatus: true });
    return { object, isNew: !exists };
  }

  /** Stores an object as it is, however broken, if it names itself. Keeps a version that is ahead. */
  seed(value: object): JsonObject {
    const body = decodeObject(value);
    const resource = resourceOf(body);
    const metadata: JsonObject = { ...objectAt(body, "metadata") };
    if (resource.isNamespaced) metadata["namespace"] ??= "default";
    metadata["uid"] ??= crypto.randomUUID();
    metadata["creationTimestamp"] ??= secondsNow();
    const wantedVersion = Number(textAt(metadata, "resourceVersion")) || 0;
    return typed(
      resource,
      this.store.put(resource, { object: { ...body, metadata }, wantedVersion }),
    );
  }

  #require(target: Target): Entry {
    const { resource, namespace, name } = target;
    const entry = this.store.get(resource, keyOf(resource, { namespace, name }));
    if (!entry) throw notFound(resource.plural, name);
    return entry;
  }

  #replace(
    { target, old, wanted }: { target: Target; old: Entry; wanted: JsonObject },
    options: WriteOptions,
  ): JsonObject {
    const { resource, name, subresource } = target;
    const oldObject = typed(resource, old);
    const oldMeta = objectAt(old.object, "metadata");
    const newMeta = objectAt(wanted, "metadata");
    const { resourceVersion, uid } = newMeta;
    const isStale = resourceVersion !== undefined && resourceVersion !== "" &&
      resourceVersion !== String(old.version);
    const isOther = uid !== undefined && uid !== "" && uid !== oldMeta["uid"];
    if (isStale || isOther) throw conflict(resource.plural, name);
    const metadata: JsonObject = {
      ...newMeta,
      resourceVersion: String(old.version),
      uid: oldMeta["uid"],
      creationTimestamp: oldMeta["creationTimestamp"],
      deletionTimestamp: oldMeta["deletionTimestamp"],
      generation: oldMeta["generation"],
    };
    if (resource.isNamespaced) metadata["namespace"] = oldMeta["namespace"];
    const keepsStatus = resource.hasStatus && resource.plural !== "nodes" && !options.keepsStatus;
    let object: JsonObject = { ...wanted, metadata };
    if (subresource === "status") {
      const { labels, annotations } = metadata;
      object = { ...oldObject, status: wanted["status"] ?? {} };
      object["metadata"] = { ...objectAt(oldObject, "metadata"), labels, annotations };
    } else if (keepsStatus) object["status"] = oldObject["status"];
    const stored = this.#commit({ resource, object, old }, options);
    if (metadata["deletionTimestamp"] && listAt(stored, "metadata.finalizers").length === 0) {
      this.store.delete(resource, old.key);
    }
    return stored;
  }

  #commit(
    { resource, object, old }: {
      resource: Resource;
      object: JsonObject;
      old: Entry | undefined;
    },
    options: WriteOptions,
  ): JsonObject {
    const oldObject = old?.object;
    const rules = KIND_RULES[resource.kind];
    const completed = rules?.complete(object, oldObject) ?? object;
    const causes = new Causes();
    checkMetadata(resource, { object: completed, causes });
    rules?.check(completed, { old: oldObject, causes });
    let ready = completed;
    if (resource.kind === "Service" && (causes.list.length === 0 || !this.options.validates)) {
      ready = allocateService(completed, { allocation: this.options.allocation, causes });
    }
    if (this.options.validates && causes.list.length > 0) {
      const { kind, group } = resource;
      throw invalid({ kind, group, name: textAt(ready, "metadata.name") }, causes.list);
    }
    const clean = decodeObject(ready);
    clean["metadata"] = withoutEmpty(objectAt(clean, "metadata"));
    if (old && isEqual(clean, typed(resource, old))) return clean;
    if (old && resource.hasGeneration) bumpGeneration(clean, old.object);
    if (options.isDryRun) return clean;
    return typed(resource, this.store.put(resource, { object: clean }));
  }
}

function bumpGeneration(object: JsonObject, old: JsonObject): void {
  const { metadata: _a, apiVersion: _b, kind: _c, ...content } = object;
  const { metadata: _d, ...oldContent } = old;
  const labels = valueAt(object, "metadata.labels");
  const isSame = isEqual(content, oldContent) && isEqual(labels, valueAt(old, "metadata.labels"));
  if (isSame) return;
  objectAt(object, "metadata")["generation"] = numberAt(old, "metadata.generation") + 1;
}

/** The object with apiVersion and kind in front. */
export function typed(resource: Resource, entry: Entry): JsonObject {
  return { kind: resource.kind, apiVersion: apiVersionOf(resource), ...entry.object };
}

function resourceOf(body: JsonObject): Resource {
  const resource = resourceOfKind(textAt(body, "apiVersion"), textAt(body, "kind"));
  if (!resource) {
    throw badRequest(`no resource for ${textAt(body, "apiVersion")} "${textAt(body, "kind")}"`);
  }
  return resource;
}

function checkNamespace(
  { resource, namespace }: { resource: Resource; namespace: string },
  metadata: JsonObject,
): void {
  const named = textAt(metadata, "namespace");
  if (resource.isNamespaced && named !== "" && named !== namespace) {
    throw badRequest(
      `the namespace of the object (${named}) does not match the URL (${namespace})`,
    );
  }
  if (!resource.isNamespaced && named !== "") {
    throw badRequest(`${resource.plural} have no namespace`);
  }
}

function checkMetadata(
  resource: Resource,
  { object, causes }: { object: JsonObject; causes: Causes },
): void {
  const metadata = objectAt(object, "metadata");
  const name = textAt(metadata, "name");
  if (name === "") causes.at("metadata.name").required("name or generateName is required");
  else KIND_RULES[resource.kind]?.checkName(name, causes);
  if (resource.isNamespaced) causes.at("metadata.namespace").label(textAt(metadata, "namespace"));
  causes.at("metadata.labels").labels(metadata["labels"]);
  causes.at("metadata.annotations").annotations(metadata["annotations"]);
}

/** Time as in creationTimestamp: RFC 3339 without fractions. */
export function secondsNow(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}

const SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789";

function randomSuffix(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(5));
  return [...bytes].map((byte) => SUFFIX_LETTERS[byte % SUFFIX_LETTERS.length]).join("");
}

/** `preconditions` of a DELETE body; undefined when it has none. */
export function preconditionsOf(body: Json | undefined): JsonObject | undefined {
  const found = isObject(body) ? body["preconditions"] : undefined;
  return isObject(found) ? found : undefined;
}
