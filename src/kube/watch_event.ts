/**
 * One line of a watch, e.g.
 *
 *     {"type": "MODIFIED", "object": {"metadata": {"resourceVersion": "7", ...}, ...}}
 *     {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
 *     {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
 *
 * @module
 */

import { type ApiStatus, decodeStatus } from "./api_error.ts";
import { type JsonObject, objectAt, parseObject, textAt } from "./json.ts";

/** The bookmark that ends the initial events of a WatchList (API-03). */
const INITIAL_EVENTS_END = "k8s.io/initial-events-end";

/** What a line of a watch means. */
export type WatchEvent =
  | {
    readonly kind: "object";
    readonly json: JsonObject;
    readonly isDeleted: boolean;
    /** Where a watch goes on after this event; "" when the object does not say. */
    readonly resourceVersion: string;
  }
  | {
    readonly kind: "bookmark";
    readonly resourceVersion: string;
    readonly endsInitialEvents: boolean;
  }
  | { readonly kind: "error"; readonly status: ApiStatus }
  | { readonly kind: "malformed"; readonly why: string };

/** Never throws. */
export function decodeWatchEvent(line: string): WatchEvent {
  let event: JsonObject;
  try {
    event = parseObject(JSON.parse(line));
  } catch (error) {
    return { kind: "malformed", why: error instanceof Error ? error.message : String(error) };
  }
  const json = objectAt(event, "object");
  const metadata = objectAt(json, "metadata");
  const resourceVersion = textAt(metadata, "resourceVersion");
  switch (textAt(event, "type")) {
    case "ADDED":
    case "MODIFIED":
      return { kind: "object", json, isDeleted: false, resourceVersion };
    case "DELETED":
      return { kind: "object", json, isDeleted: true, resourceVersion };
    case "BOOKMARK": {
      const endsInitialEvents =
        textAt(objectAt(metadata, "annotations"), INITIAL_EVENTS_END) === "true";
      return { kind: "bookmark", resourceVersion, endsInitialEvents };
    }
    case "ERROR":
      return { kind: "error", status: decodeStatus(json) };
    default:
      return { kind: "malformed", why: "it has no known type" };
  }
}
