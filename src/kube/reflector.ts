/**
 * Makes the store hold what the API server holds of one resource, and keeps it so: a list as a
 * stream (WatchList) or in pages, then a watch, resumed where it ended, for ever. The rules are
 * those of client-go's reflector (facts API-03, INF-01, INF-02).
 *
 *     no version -> list -> version -> watch -> closed   -> watch from the last version
 *                                            -> expired  -> list again
 *                                            -> failed   -> wait, then one or the other
 *
 * @module
 */

import type { Logger } from "../log.ts";
import { ApiError, type ApiStatus, isExpired } from "./api_error.ts";
import { backoffMs } from "./backoff.ts";
import { Intake } from "./intake.ts";
import type { Store } from "./store.ts";
import type { WatchEvent } from "./watch_event.ts";
import { type WatchContext, watchEvents } from "./watch_events.ts";

/** A watch that ends sooner, without an event, did not work. */
const SHORT_WATCH_MS = 1_000;

/** What lasted so long worked; its end is the first failure of a row, not one more. */
const STEADY_MS = 5_000;

/** Refusals that say nothing about the version we have: they pass, or somebody mends them. */
const KEEPS_VERSION: readonly number[] = [0, 401, 403, 429, 503];

/** How a server without WatchList answers the request for one. */
const REFUSES_WATCH_LIST: readonly number[] = [400, 405, 422];

/** What {@linkcode reflect} needs. */
export interface ReflectorOptions extends WatchContext {
  readonly store: Store;
  readonly log: Logger;
}

/** How a pass, a list or a watch, ended. */
type End =
  | { readonly kind: "listed" }
  | { readonly kind: "closed" }
  | { readonly kind: "expired" }
  /** The server has no WatchList. */
  | { readonly kind: "unsupported" }
  | { readonly kind: "failed"; readonly error: Error };

/** Runs until the signal aborts. Never rejects. */
export async function reflect(options: ReflectorOptions): Promise<void> {
  await new Reflector(options).run();
}

class Reflector {
  readonly #options: ReflectorOptions;
  readonly #intake: Intake;
  /** Where the next watch goes on; undefined: everything must be listed. */
  #resourceVersion: string | undefined;
  #isWatchListSupported = true;
  #isWatchListNext = true;
  /** Whether the watch under way has brought anything new. */
  #hasProgressed = false;
  #failures = 0;
  #lastProblem = "";

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#intake = new Intake(options);
  }

  async run(): Promise<void> {
    const { clock, signal } = this.#options;
    while (!signal.aborted) {
      const startMs = clock.nowMs();
      this.#hasProgressed = false;
      const end = await this.#pass();
      if (signal.aborted) return;
      const lastedMs = clock.nowMs() - startMs;
      await clock.sleep(this.#settle(end, lastedMs), signal);
    }
  }

  async #pass(): Promise<End> {
    try {
      if (this.#resourceVersion !== undefined) {
        return await this.#follow({ resourceVersion: this.#resourceVersion });
      }
      const isStreamed = this.#isWatchListSupported && this.#isWatchListNext;
      this.#isWatchListNext = true;
      this.#intake.beginList();
      return await (isStreamed ? this.#watchList() : this.#list());
    } catch (error) {
      if (error instanceof ApiError && isExpired(error)) return { kind: "expired" };
      return { kind: "failed", error: error instanceof Error ? error : new Error(String(error)) };
    } finally {
      this.#intake.abandonList();
    }
  }

  /** Decides what follows the end of a pass. Returns how long to wait before, in ms. */
  #settle(end: End, lastedMs: number): number {
    if (this.#hasProgressed || lastedMs >= STEADY_MS) this.#failures = 0;
    switch (end.kind) {
      case "listed":
        return 0;
      case "unsupported":
        this.#isWatchListSupported = false;
        return 0;
      case "closed":
        if (lastedMs >= SHORT_WATCH_MS) this.#failures = 0;
        else if (!this.#hasProgressed) return this.#fail(new Error("The watch ended at once"));
        return 0;
      case "expired":
        this.#resourceVersion = undefined;
        // Usual once, after a long time without a connection; more than that is not.
        return this.#failures++ === 0 ? 0 : this.#backoffMs();
      case "failed":
        return this.#fail(end.error);
    }
  }

  #fail(error: Error): number {
    this.#failures++;
    const isRefused = error instanceof ApiError;
    const status = isRefused ? error.status : 0;
    if (!KEEPS_VERSION.includes(status)) this.#resourceVersion = undefined;
    const retryMs = Math.max(isRefused ? error.retryAfterMs : 0, this.#backoffMs());
    this.#report(error, { status, retryMs });
    return retryMs;
  }

  #backoffMs(): number {
    return backoffMs(this.#failures, this.#options.clock.random);
  }

  /** The same problem again is only of interest to those who look closely. */
  #report(error: Error, { status, retryMs }: { status: number; retryMs: number }): void {
    const { log, resource: { kind } } = this.#options;
    const fields = { kind, retryMs: Math.round(retryMs), error };
    // Clusters without this API are supported (API-08).
    const isUsual = status === 404 && kind === "ServiceCIDR";
    const isKnown = error.message === this.#lastProblem;
    if (isUsual || isKnown) log.v(4, "Cannot follow objects of the API server", fields);
    else log.warn("Cannot follow objects of the API server", fields);
    this.#lastProblem = error.message;
  }

  #recover(): void {
    if (this.#lastProblem === "") return;
    this.#lastProblem = "";
    const { log, resource: { kind } } = this.#options;
    log.info("Following objects of the API server again", { kind });
  }

  async #list(): Promise<End> {
    const { client, resource, nodeName, signal } = this.#options;
    const pages = client.list(resource.path, { query: resource.query(nodeName), signal });
    let resourceVersion = "";
    for await (const page of pages) {
      for (const item of page.items) this.#intake.take(item);
      resourceVersion = page.resourceVersion;
    }
    this.#completeList(resourceVersion);
    return { kind: "listed" };
  }

  async #watchList(): Promise<End> {
    // Should this stream not come to the point, the next attempt is a plain list.
    this.#isWatchListNext = false;
    try {
      return await this.#follow({
        sendInitialEvents: "true",
        resourceVersionMatch: "NotOlderThan",
        resourceVersion: "",
      });
    } catch (error) {
      const isRefused = error instanceof ApiError && REFUSES_WATCH_LIST.includes(error.status);
      if (isRefused && this.#intake.isGathering) return { kind: "unsupported" };
      throw error;
    }
  }

  #completeList(resourceVersion: string): void {
    this.#intake.completeList();
    this.#resourceVersion = resourceVersion;
    this.#isWatchListNext = true;
    this.#recover();
  }

  async #follow(query: Readonly<Record<string, string>>): Promise<End> {
    const isListing = () => this.#intake.isGathering;
    for await (const event of watchEvents(this.#options, { query, isListing })) {
      const end = this.#take(event);
      if (end !== undefined) return end;
    }
    if (!isListing()) return { kind: "closed" };
    return { kind: "failed", error: new Error("The list ended before it was complete") };
  }

  /** Returns the end of the watch if the event is one. */
  #take(event: WatchEvent): End | undefined {
    switch (event.kind) {
      case "object":
        if (event.isDeleted) this.#intake.takeDeleted(event.json);
        else this.#intake.take(event.json);
        this.#advance(event.resourceVersion);
        return undefined;
      case "bookmark":
        if (!this.#intake.isGathering) this.#advance(event.resourceVersion);
        else if (event.endsInitialEvents) this.#completeList(event.resourceVersion);
        // An ordinary bookmark before the end of the list: the server does not know of lists.
        else return { kind: "unsupported" };
        return undefined;
      case "error":
        if (isExpired(event.status)) return { kind: "expired" };
        return { kind: "failed", error: this.#watchError(event.status) };
      case "malformed":
        // What it would have said comes again after the last version, if that was not the cause.
        if (!this.#hasProgressed) this.#resourceVersion = undefined;
        return { kind: "failed", error: new Error(`Cannot read a watch event: ${event.why}`) };
    }
  }

  #advance(resourceVersion: string): void {
    if (this.#intake.isGathering) return;
    if (resourceVersion !== "") this.#resourceVersion = resourceVersion;
    this.#hasProgressed = true;
    this.#recover();
  }

  #watchError(status: ApiStatus): ApiError {
    return new ApiError("GET", this.#options.resource.path, status);
  }
}
