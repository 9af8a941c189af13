/**
 * metadata: what names an object. Names are data and may hold anything but what would make two
 * objects share a key.
 *
 * @module
 */

import { type JsonObject, objectAt, textAt } from "./json.ts";
import type { Problems } from "./problems.ts";

/** What we read of metadata. */
export interface Meta {
  /** `default` when there is none. */
  readonly namespace: string;
  readonly name: string;
  /** "" when unknown: objects of manifests have none. */
  readonly uid: string;
  readonly labels: JsonObject;
  readonly annotations: JsonObject;
  /** "" when unknown. */
  readonly resourceVersion: string;
}

/** The longest name that the API accepts for any kind. */
const MAX_NAME_LENGTH = 253;

/** Undefined when the object has no name it could be known by; then `problems` say why. */
export function decodeMeta(json: JsonObject, problems: Problems): Meta | undefined {
  const metadata = objectAt(json, "metadata");
  const namespace = textAt(metadata, "namespace") || "default";
  const name = textAt(metadata, "name");
  for (
    const [path, text] of [["metadata.name", name], ["metadata.namespace", namespace]] as const
  ) {
    if (text === "") problems.add(path, { why: "missing" });
    else if (text.includes("/")) problems.add(path, { why: "has a slash", value: text });
    else if (text.length > MAX_NAME_LENGTH) {
      problems.add(path, { why: "longer than 253", value: text });
    }
  }
  if (problems.count > 0) return undefined;
  return {
    namespace,
    name,
    uid: textAt(metadata, "uid"),
    labels: objectAt(metadata, "labels"),
    annotations: objectAt(metadata, "annotations"),
    resourceVersion: textAt(metadata, "resourceVersion"),
  };
}
