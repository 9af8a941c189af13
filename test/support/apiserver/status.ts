/**
 * Failures as the API server says them: a `Status` object with an HTTP code, a reason for programs
 * and a message for people.
 *
 * @module
 */

import type { JsonObject } from "./json.ts";

/** One reason why an object is not acceptable. */
export interface Cause {
  readonly reason:
    | "FieldValueRequired"
    | "FieldValueInvalid"
    | "FieldValueDuplicate"
    | "FieldValueForbidden"
    | "FieldValueNotSupported"
    | "FieldValueTooMany"
    | "FieldValueTooLong"
    | "ResourceVersionTooLarge";
  readonly message: string;
  readonly field: string;
}

/** What a {@linkcode StatusError} adds to code, reason and message. */
export interface StatusDetail {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Cause[];
  readonly retryAfterSeconds?: number;
  /** Continue token that goes on in the present, for an expired list. */
  readonly continue?: string;
}

/** A request that is answered with a failure. */
export class StatusError extends Error {
  override readonly name = "StatusError";

  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
    readonly detail: StatusDetail = {},
  ) {
    super(message);
  }

  /** The `Status` object that goes over the wire. */
  toStatus(): JsonObject {
    const { causes, continue: token, ...rest } = this.detail;
    const details: JsonObject = { ...rest };
    if (causes) details["causes"] = causes.map((cause) => ({ ...cause }));
    const status: JsonObject = {
      kind: "Status",
      apiVersion: "v1",
      metadata: token === undefined ? {} : { continue: token },
      status: "Failure",
      message: this.message,
      reason: this.reason,
      code: this.code,
    };
    if (Object.keys(details).length > 0) status["details"] = details;
    return status;
  }
}

/** 400: the request itself makes no sense. */
export function badRequest(message: string): StatusError {
  return new StatusError(400, "BadRequest", message);
}

/** 401: credentials that nobody knows. */
export function unauthorized(): StatusError {
  return new StatusError(401, "Unauthorized", "Unauthorized");
}

/** 403: known, but not allowed. */
export function forbidden(message: string): StatusError {
  return new StatusError(403, "Forbidden", message);
}

/** 404: no such object. */
export function notFound(kind: string, name: string): StatusError {
  return new StatusError(404, "NotFound", `${kind} "${name}" not found`, { name, kind });
}

/** 404: no such path. */
export function noSuchPath(): StatusError {
  return new StatusError(
    404,
    "NotFound",
    "the server could not find the requested resource",
  );
}

/** 405: the path knows other verbs. */
export function methodNotAllowed(): StatusError {
  return new StatusError(
    405,
    "MethodNotAllowed",
    "the server does not allow this method on the requested resource",
  );
}

/** 409: the name is taken. */
export function alreadyExists(kind: string, name: string): StatusError {
  return new StatusError(409, "AlreadyExists", `${kind} "${name}" already exists`, { name, kind });
}

/** 409: somebody else wrote the object meanwhile. */
export function conflict(kind: string, name: string): StatusError {
  const message = `Operation cannot be fulfilled on ${kind} "${name}": ` +
    "the object has been modified; please apply your changes to the latest version and try again";
  return new StatusError(409, "Conflict", message, { name, kind });
}

/** 410: the asked-for version is forgotten. */
export function expired(message: string, token?: string): StatusError {
  return new StatusError(
    410,
    "Expired",
    message,
    token === undefined ? {} : { continue: token },
  );
}

/** 422: the object breaks rules of the API; one cause each. */
export function invalid(
  object: { kind: string; group: string; name: string },
  causes: readonly Cause[],
): StatusError {
  const list = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const text = list.length === 1 ? list[0] : `[${list.join(", ")}]`;
  const kind = object.group === "" ? object.kind : `${object.kind}.${object.group}`;
  return new StatusError(422, "Invalid", `${kind} "${object.name}" is invalid: ${text}`, {
    name: object.name,
    group: object.group,
    kind: object.kind,
    causes,
  });
}
