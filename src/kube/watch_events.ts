/**
 * One watch from its request to its end, as events. A server that does not end it in time, or
 * never comes to the point, is left.
 *
 * @module
 */

import type { ApiClient } from "./client.ts";
import type { Clock } from "./clock.ts";
import type { Resource } from "./resources.ts";
import { decodeWatchEvent, type WatchEvent } from "./watch_event.ts";

/** A watch is asked to end after a random time from here to twice as long (API-03). */
const MIN_WATCH_SECONDS = 300;

/** When the server has not ended it by then, it never will. */
const DEADLINE_SLACK_MS = 30_000;

/** A server that knows nothing of WatchList never says that the list is complete. */
const LIST_TIMEOUT_MS = 60_000;

/** Whose objects are watched, and with what. */
export interface WatchContext {
  readonly client: Pick<ApiClient, "list" | "watch">;
  readonly resource: Resource;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The events until the server ends the watch. Throws ApiError when it ends in another way. */
export async function* watchEvents(
  { client, resource, nodeName, clock, signal }: WatchContext,
  options: { query: Readonly<Record<string, string>>; isListing: () => boolean },
): AsyncGenerator<WatchEvent> {
  const seconds = Math.floor(MIN_WATCH_SECONDS * (1 + clock.random()));
  const attempt = new AbortController();
  const limit = async (ms: number, hasFailed: () => boolean) => {
    await clock.sleep(ms, attempt.signal);
    if (hasFailed()) attempt.abort(new Error(`The server did not finish within ${ms / 1000} s`));
  };
  limit(seconds * 1000 + DEADLINE_SLACK_MS, () => true);
  if (options.isListing()) limit(LIST_TIMEOUT_MS, options.isListing);
  const query = {
    ...resource.query(nodeName),
    ...options.query,
    allowWatchBookmarks: "true",
    timeoutSeconds: String(seconds),
  };
  try {
    const lines = client.watch(resource.path, {
      query,
      signal: AbortSignal.any([signal, attempt.signal]),
    });
    for await (const line of lines) yield decodeWatchEvent(line);
  } finally {
    attempt.abort();
  }
}
