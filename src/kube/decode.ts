/**
 * The door: JSON of the API, or of a manifest, becomes the facts of src/model/objects.ts. Whatever
 * comes in, something comes out: an object, or nothing and one line that says why.
 *
 * @module
 */

import type { Note } from "../model/plan.ts";
import { type Change, keyOf, type ObjectKind } from "./changes.ts";
import { decodeNode, decodeServiceCidr } from "./decode_node.ts";
import { decodeService } from "./decode_service.ts";
import { decodeSlice } from "./decode_slice.ts";
import { type JsonObject, objectAt, textAt } from "./json.ts";
import { decodeMeta, type Meta } from "./meta.ts";
import { Problems } from "./problems.ts";
import type { Resource } from "./resources.ts";

/** What became of an object. */
export interface Decoded {
  /** Its `object` is undefined when it cannot be used or is not for us; undefined: no name. */
  readonly change: Change | undefined;
  /** What had to be left out of it. */
  readonly note: Note | undefined;
}

/** Decodes one object of a resource as it is seen from the node. Never throws. */
export function decodeObject(
  json: JsonObject,
  { resource, nodeName }: { resource: Resource; nodeName: string },
): Decoded {
  const { kind } = resource;
  const problems = new Problems();
  const meta = decodeMeta(json, problems);
  if (meta === undefined) {
    const object = `${textAt(objectAt(json, "metadata"), "namespace")}/${
      textAt(objectAt(json, "metadata"), "name")
    }`.slice(0, 300);
    return { change: undefined, note: problems.note({ kind, object, isSkipped: true }) };
  }
  const change = resource.selects(json, nodeName)
    ? decodeChange(json, { kind, meta, problems })
    : goneChange(kind, meta);
  const about = { kind, object: change.key, isSkipped: change.object === undefined };
  return { change, note: problems.note(about) };
}

/** The change that an object was deleted; undefined when it has no name. Never throws. */
export function decodeGone(json: JsonObject, kind: ObjectKind): Change | undefined {
  const meta = decodeMeta(json, new Problems());
  return meta && goneChange(kind, meta);
}

function goneChange(kind: ObjectKind, meta: Meta): Change {
  switch (kind) {
    case "Service":
    case "EndpointSlice":
      return { kind, key: keyOf(meta), object: undefined };
    case "Node":
    case "ServiceCIDR":
      return { kind, key: meta.name, object: undefined };
  }
}

function decodeChange(
  json: JsonObject,
  { kind, ...context }: { kind: ObjectKind; meta: Meta; problems: Problems },
): Change {
  const { meta } = context;
  switch (kind) {
    case "Service":
      return { kind, key: keyOf(meta), object: decodeService(json, context) };
    case "EndpointSlice":
      return { kind, key: keyOf(meta), object: decodeSlice(json, context) };
    case "Node":
      return { kind, key: meta.name, object: decodeNode(json, context) };
    case "ServiceCIDR":
      return { kind, key: meta.name, object: decodeServiceCidr(json, context) };
  }
}
