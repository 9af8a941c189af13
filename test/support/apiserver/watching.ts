/**
 * WATCH: a stream of JSON lines, from a version or with the initial state first (WatchList).
 *
 *     {"type":"ADDED","object":{"kind":"Service","apiVersion":"v1","metadata":{...
 *     {"type":"BOOKMARK","object":{"kind":"Service",...,"metadata":{"resourceVersion":"1234",...
 *
 * An object that begins to match the selectors is ADDED, one that ceases to is DELETED. A version
 * that is compacted away is a 200 with an ERROR event, as the real server does it.
 *
 * @module
 */

import type { ServerResponse } from "node:http";
import type { Fault, Faults } from "./faults.ts";
import { expired, StatusError } from "./status.ts";
import { apiVersionOf, type Resource } from "./resources.ts";
import type { Entry, Store, StoreEvent } from "./store.ts";
import { type Matches, parseSelectors } from "./selectors.ts";
import { forbiddenOption, wholeNumber } from "./listing.ts";

/** What a watch request asks for. */
export interface WatchRequest {
  readonly resource: Resource;
  /** "": all namespaces. */
  readonly namespace: string;
  readonly query: URLSearchParams;
}

/** What a watch needs of the server. */
export interface WatchHost {
  readonly store: Store;
  readonly faults: Faults;
  readonly bookmarkIntervalMs: number;
  /** Answer 422 to `sendInitialEvents`, like a server without WatchList. */
  readonly isWatchListServed: boolean;
}

/** A running watch. */
export interface Watch {
  readonly resource: Resource;
  /** Ends the stream: `end` cleanly, `drop` by closing the connection, `hang` by falling silent. */
  stop(how: "end" | "drop" | "hang"): void;
  /** Sends an ERROR event and ends the stream. */
  fail(error: StatusError): void;
}

/** A watch request, checked. */
export interface WatchOptions {
  readonly resource: Resource;
  readonly matches: Matches;
  readonly sendsInitialState: boolean;
  readonly isWatchList: boolean;
  readonly allowsBookmarks: boolean;
  readonly fromVersion: number;
  readonly timeoutMs: number;
}

/** Checks the request before the stream starts. Throws StatusError. */
export function parseWatch(host: WatchHost, request: WatchRequest): WatchOptions {
  const { resource, namespace, query } = request;
  const selected = parseSelectors(query, resource);
  const isWatchList = query.get("sendInitialEvents") === "true";
  const match = query.get("resourceVersionMatch") ?? "";
  if (query.has("sendInitialEvents") && !host.isWatchListServed) {
    throw forbiddenOption("sendInitialEvents", "sendInitialEvents is not served for watch");
  }
  if (query.has("sendInitialEvents") && match !== "NotOlderThan") {
    throw forbiddenOption("resourceVersionMatch", "sendInitialEvents needs NotOlderThan");
  }
  if (!query.has("sendInitialEvents") && match !== "") {
    throw forbiddenOption("resourceVersionMatch", "is forbidden for watch without initial events");
  }
  const fromVersion = wholeNumber(query, "resourceVersion");
  const timeoutSeconds = wholeNumber(query, "timeoutSeconds");
  return {
    resource,
    matches: (object) =>
      (namespace === "" || namespaceOf(object) === namespace) && selected(object),
    sendsInitialState: isWatchList ||
      (fromVersion === 0 && query.get("sendInitialEvents") !== "false"),
    isWatchList,
    allowsBookmarks: query.get("allowWatchBookmarks") === "true",
    fromVersion,
    timeoutMs: (timeoutSeconds || 1_800 + Math.floor(Math.random() * 1_800)) * 1_000,
  };
}

function namespaceOf(object: { metadata?: unknown }): unknown {
  return object.metadata instanceof Object ? Reflect.get(object.metadata, "namespace") : undefined;
}

/** Streams until time-out, client or server ends it. */
export function startWatch(
  host: WatchHost,
  { options, response }: { options: WatchOptions; response: ServerResponse },
): Watch {
  const stream = new WatchStream(host, { options, response });
  stream.start();
  return stream;
}

class WatchStream implements Watch {
  readonly resource: Resource;
  private readonly options: WatchOptions;
  private readonly response: ServerResponse;
  #lines: string[] = [];
  #isFlushPlanned = false;
  #isSilent = false;
  #isOver = false;
  #heldUntilMs = 0;
  readonly #cleanups: (() => void)[] = [];

  constructor(
    private readonly host: WatchHost,
    { options, response }: { options: WatchOptions; response: ServerResponse },
  ) {
    this.options = options;
    this.response = response;
    this.resource = options.resource;
  }

  start(): void {
    const { store } = this.host;
    const { resource, fromVersion, timeoutMs, allowsBookmarks } = this.options;
    this.response.writeHead(200, { "content-type": "application/json" });
    this.response.flushHeaders();
    this.response.on("close", () => this.#close());
    if (this.options.sendsInitialState) this.#sendInitialState();
    else {
      const missed = store.eventsSince(resource, fromVersion);
      if (!missed) return this.fail(expired(`too old resource version: ${fromVersion}`));
      for (const event of missed) this.#onEvent(event);
    }
    this.#cleanups.push(store.subscribe(resource, (event) => this.#onEvent(event)));
    this.#after(timeoutMs, () => {
      if (allowsBookmarks) this.#sendBookmark();
      this.stop("end");
    });
    if (allowsBookmarks) this.#every(this.host.bookmarkIntervalMs, () => this.#sendBookmark());
  }

  stop(how: "end" | "drop" | "hang"): void {
    if (this.#isOver) return;
    if (how === "hang") {
      this.#isSilent = true;
      return;
    }
    this.#flush();
    this.#close();
    if (how === "end") this.response.end();
    else this.response.socket?.destroy();
  }

  fail(error: StatusError): void {
    this.#send(`{"type":"ERROR","object":${JSON.stringify(error.toStatus())}}\n`);
    this.stop("end");
  }

  #sendInitialState(): void {
    const { store } = this.host;
    for (const entry of store.list(this.resource)) {
      if (this.options.matches(entry.object)) this.#sendObject("ADDED", entry);
    }
    if (this.options.isWatchList) {
      this.#sendBookmark({ "k8s.io/initial-events-end": "true" });
    }
  }

  #onEvent(event: StoreEvent): void {
    const type = eventTypeFor(this.options.matches, event);
    if (type === undefined || event.version <= this.options.fromVersion) return;
    const point = { at: "event", resource: this.resource.plural, verb: "watch" } as const;
    const fault = this.host.faults.strike(point);
    if (!fault || !this.#misbehave(fault, event.entry)) this.#sendObject(type, event.entry);
  }

  /** True when the event is not to be sent any more. */
  #misbehave(fault: Fault, entry: Entry): boolean {
    switch (fault.kind) {
      case "error":
        this.fail(new StatusError(fault.code ?? 500, "InternalError", "fault on demand"));
        return true;
      case "expired":
        this.fail(expired("too old resource version: fault on demand"));
        return true;
      case "truncate":
        this.#send(`{"type":"MODIFIED","object":${entry.json.slice(0, entry.json.length / 2)}`);
        this.stop("end");
        return true;
      case "garbage":
        this.#send("<html>not a watch event</html>\n");
        return false;
      case "delay":
        this.#heldUntilMs = Date.now() + (fault.delayMs ?? 1_000);
        return false;
      default:
        this.stop(fault.kind);
        return true;
    }
  }

  #sendObject(type: string, entry: Entry): void {
    const { kind } = this.resource;
    this.#send(
      `{"type":"${type}","object":{"kind":"${kind}","apiVersion":"${apiVersionOf(this.resource)}",${
        entry.json.slice(1)
      }}\n`,
    );
  }

  #sendBookmark(annotations?: Record<string, string>): void {
    const metadata = {
      resourceVersion: String(this.host.store.version),
      ...(annotations && { annotations }),
    };
    const object = { kind: this.resource.kind, apiVersion: apiVersionOf(this.resource), metadata };
    this.#send(`{"type":"BOOKMARK","object":${JSON.stringify(object)}}\n`);
  }

  // A burst of events of one tick is one write.
  #send(line: string): void {
    if (this.#isOver) return;
    this.#lines.push(line);
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    const waitMs = this.#heldUntilMs - Date.now();
    if (waitMs > 0) this.#after(waitMs, () => this.#flush());
    else queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushPlanned = false;
    const text = this.#lines.join("");
    this.#lines = [];
    if (text === "" || this.#isOver || this.#isSilent) return;
    this.response.write(text);
    // A client that reads nothing for long is cut off, as the real server does.
    if (this.response.writableLength > MAX_UNREAD_BYTES) this.stop("drop");
  }

  #close(): void {
    this.#isOver = true;
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
  }

  #after(delayMs: number, callback: () => void): void {
    const timer = setTimeout(callback, delayMs);
    this.#cleanups.push(() => clearTimeout(timer));
  }

  #every(periodMs: number, callback: () => void): void {
    const timer = setInterval(callback, periodMs);
    this.#cleanups.push(() => clearInterval(timer));
  }
}

const MAX_UNREAD_BYTES = 256 << 20;

/** What an event is for a watch with these selectors; undefined: not its business. */
export function eventTypeFor(matches: Matches, event: StoreEvent): StoreEvent["type"] | undefined {
  const isWanted = event.type !== "DELETED" && matches(event.entry.object);
  const wasWanted = event.previous !== undefined && matches(event.previous.object);
  if (isWanted) return wasWanted ? "MODIFIED" : "ADDED";
  return wasWanted ? "DELETED" : undefined;
}
