/**
 * HTTP as this room needs it: one request, one reply whose body arrives in pieces. A test stands in
 * for it with a function.
 *
 * @module
 */

/** A request to the API server of the connection. */
export interface HttpRequest {
  readonly method: "GET" | "POST" | "PATCH";
  /** Path and query, e.g. `/api/v1/services?limit=500`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The reply fails when nothing arrives for this long. */
  readonly idleTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** The reply, as soon as its head is there. */
export interface HttpReply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Must be read to its end, or left by `return()`; else the connection is never free again. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** A way to talk to one API server. */
export interface Transport {
  /** Rejects when there is no reply. */
  send(request: HttpRequest): Promise<HttpReply>;
  close(): Promise<void>;
}
