/**
 * The API server as this room uses it: lists in pages, watches line by line, writes of Events.
 * Speaks JSON (API-04). Every request carries the user agent and the credentials of the moment and
 * waits for its turn.
 *
 * @module
 */

import { ApiError, decodeErrorReply } from "./api_error.ts";
import type { Authorization } from "./connection.ts";
import { type JsonObject, listAt, objectAt, parseObject, textAt } from "./json.ts";
import { readText, splitLines } from "./lines.ts";
import type { Throttle } from "./throttle.ts";
import type { HttpReply, HttpRequest, Transport } from "./transport.ts";

/** Keeps the memory for one page small, and lets a slow server answer in time. */
const PAGE_SIZE = 500;

/** A server that is silent for this long while it answers is as good as gone. */
const REPLY_TIMEOUT_MS = 60_000;

/** Bookmarks come about once a minute, so a watch that is silent for longer has lost its server. */
const WATCH_IDLE_TIMEOUT_MS = 150_000;

const UNAUTHORIZED = 401;

/** One page of a list. */
export interface ListPage {
  readonly items: readonly JsonObject[];
  /** Of the list as a whole. */
  readonly resourceVersion: string;
}

/** Parameters of a request by name. */
export type Query = Readonly<Record<string, string>>;

/** What {@linkcode ApiClient} is built on. */
export interface ApiClientOptions {
  readonly transport: Transport;
  readonly authorization: Authorization;
  readonly throttle: Throttle;
  readonly userAgent: string;
}

/** A client of one API server. All methods throw {@linkcode ApiError}. */
export class ApiClient {
  readonly #options: ApiClientOptions;

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  /** All objects of a collection as of one moment, page by page. */
  async *list(
    path: string,
    { query, signal }: { query: Query; signal: AbortSignal },
  ): AsyncGenerator<ListPage> {
    let next = "";
    do {
      const page = { ...query, limit: String(PAGE_SIZE), ...(next && { continue: next }) };
      const request = { method: "GET" as const, path, query: page, signal };
      const list = await this.#readJson(request, await this.#send(request));
      const metadata = objectAt(list, "metadata");
      yield {
        items: listAt(list, "items").map(parseObject),
        resourceVersion: textAt(metadata, "resourceVersion"),
      };
      next = textAt(metadata, "continue");
    } while (next !== "");
  }

  /** The lines of a watch until the server ends it, or, with an error, until `signal` aborts. */
  async *watch(
    path: string,
    { query, signal }: { query: Query; signal: AbortSignal },
  ): AsyncGenerator<string> {
    const request = {
      method: "GET" as const,
      path,
      query: { ...query, watch: "true" },
      idleTimeoutMs: WATCH_IDLE_TIMEOUT_MS,
      signal,
    };
    const reply = await this.#send(request);
    try {
      yield* splitLines(reply.body);
    } catch (error) {
      throw unanswered(request, error);
    }
  }

  /** Creates an object (POST) or changes one by a merge patch. */
  async write(
    path: string,
    { method, body, signal }: { method: "POST" | "PATCH"; body: JsonObject; signal: AbortSignal },
  ): Promise<JsonObject> {
    const request = {
      method,
      path,
      query: {},
      body: JSON.stringify(body),
      contentType: method === "PATCH" ? "application/merge-patch+json" : "application/json",
      signal,
    };
    return await this.#readJson(request, await this.#send(request));
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    await this.#options.transport.close();
  }

  async #send(request: Request): Promise<HttpReply> {
    const { transport, throttle } = this.#options;
    try {
      await throttle.takeTurn(request.signal);
      request.signal.throwIfAborted();
      const reply = await transport.send(await this.#httpRequest(request));
      if (reply.status >= 200 && reply.status < 300) return reply;
      const status = decodeErrorReply(reply, await readText(reply.body));
      if (reply.status === UNAUTHORIZED) this.#options.authorization.distrust();
      throw new ApiError(request.method, request.path, status);
    } catch (error) {
      throw error instanceof ApiError ? error : unanswered(request, error);
    }
  }

  async #httpRequest(request: Request): Promise<HttpRequest> {
    const authorization = await this.#options.authorization.header();
    const query = new URLSearchParams(request.query).toString();
    return {
      method: request.method,
      path: query === "" ? request.path : `${request.path}?${query}`,
      headers: {
        accept: "application/json",
        "user-agent": this.#options.userAgent,
        ...(authorization !== undefined && { authorization }),
        ...(request.contentType !== undefined && { "content-type": request.contentType }),
      },
      ...(request.body !== undefined && { body: request.body }),
      idleTimeoutMs: request.idleTimeoutMs ?? REPLY_TIMEOUT_MS,
      signal: request.signal,
    };
  }

  async #readJson(request: Request, reply: HttpReply): Promise<JsonObject> {
    try {
      return parseObject(JSON.parse(await readText(reply.body)));
    } catch (error) {
      throw unanswered(request, error);
    }
  }
}

interface Request {
  readonly method: HttpRequest["method"];
  readonly path: string;
  readonly query: Query;
  readonly body?: string;
  readonly contentType?: string;
  readonly idleTimeoutMs?: number;
  readonly signal: AbortSignal;
}

function unanswered({ method, path }: Request, cause: unknown): ApiError {
  const message = describe(cause);
  return new ApiError(method, path, { status: 0, reason: "", message, retryAfterMs: 0, cause });
}

/** Errors of several addresses in one have no message, only a code. */
function describe(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return cause.message || ("code" in cause ? String(cause.code) : cause.name);
}
