/**
 * A request that the API server refused, or that never reached it.
 *
 * @module
 */

import { type JsonObject, objectAt, parseObject, textAt } from "./json.ts";

/** What a Status object, or a reply without one, says. */
export interface ApiStatus {
  /** HTTP status; 0: there was no reply. */
  readonly status: number;
  /** `Expired`, `Forbidden`, ...; "" when unknown. */
  readonly reason: string;
  readonly message: string;
  /** How long the server asks us to stay away, in ms; 0: it does not say. */
  readonly retryAfterMs: number;
}

/** A request without the result it was made for. */
export class ApiError extends Error implements ApiStatus {
  override readonly name = "ApiError";
  /** HTTP status; 0: there was no reply. */
  readonly status: number;
  /** `Expired`, `Forbidden`, ...; "" when unknown. */
  readonly reason: string;
  /** How long the server asks us to stay away, in ms; 0: it does not say. */
  readonly retryAfterMs: number;

  /** `path` is without the query. */
  constructor(
    readonly method: string,
    readonly path: string,
    detail: ApiStatus & { cause?: unknown },
  ) {
    const status = detail.status === 0 ? "" : ` ${detail.status}`;
    const why = [`${detail.reason}${status}`.trim(), detail.message].filter((s) => s !== "");
    super(`Cannot ${method} ${path}: ${why.join(": ")}`, { cause: detail.cause });
    this.status = detail.status;
    this.reason = detail.reason;
    this.retryAfterMs = detail.retryAfterMs;
  }
}

/** Whether the history we asked for is gone, so that everything must be listed again. */
export function isExpired({ status, reason }: ApiStatus): boolean {
  return status === 410 || reason === "Expired" || reason === "Gone";
}

/** Reads `{"kind": "Status", "code": 410, "reason": "Expired", "message": "..."}`. */
export function decodeStatus(json: JsonObject): ApiStatus {
  const seconds = Number(objectAt(json, "details")["retryAfterSeconds"]);
  const code = Number(json["code"]);
  return {
    status: Number.isInteger(code) ? code : 0,
    reason: textAt(json, "reason"),
    message: textAt(json, "message"),
    retryAfterMs: seconds > 0 ? seconds * 1000 : 0,
  };
}

/** Reads a reply of any content whose status says that it is an error. */
export function decodeErrorReply(
  reply: { status: number; headers: Readonly<Record<string, string>> },
  body: string,
): ApiStatus {
  const retryAfter = Number(reply.headers["retry-after"]);
  const status = decodeStatus(parseJson(body));
  return {
    status: reply.status,
    reason: status.reason,
    message: status.message || body.trim().slice(0, 200),
    retryAfterMs: retryAfter > 0 ? retryAfter * 1000 : status.retryAfterMs,
  };
}

function parseJson(text: string): JsonObject {
  try {
    return parseObject(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
