/**
 * Small HTTP servers as values: a handler is a function from request to reply, and listening is
 * one effect that either has the port or throws.
 *
 * @module
 */

import type { IpAddress, IpFamily } from "../model/ip.ts";

/** What a handler looks at. */
export interface HttpRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The family the client used, also on a socket that serves both. */
  readonly family: IpFamily;
}

/** What a handler answers. */
export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Answers one request. */
export type HttpHandler = (request: HttpRequest) => HttpReply | Promise<HttpReply>;

/** An open socket. */
export interface Listener {
  /** Stops listening and cuts connections. */
  close(): Promise<void>;
}

/** What to listen on and who may come. */
export interface ListenOptions {
  /** An unspecified address means both families. */
  readonly ip: IpAddress;
  readonly port: number;
  readonly handler: HttpHandler;
  /** Connections of other families are cut without an answer. Default: both are welcome. */
  readonly welcomes?: (family: IpFamily) => boolean;
}

/** Opens a socket. Throws an Error that says why it could not. */
export type Listen = (options: ListenOptions) => Promise<Listener>;

const NO_SNIFF = { "X-Content-Type-Options": "nosniff" };

/** A reply of plain text, as Go's http.Error makes them. */
export function textReply(status: number, text: string): HttpReply {
  return {
    status,
    headers: { "Content-Type": "text/plain; charset=utf-8", ...NO_SNIFF },
    body: text,
  };
}

/** A reply of JSON. */
export function jsonReply(status: number, body: string): HttpReply {
  return { status, headers: { "Content-Type": "application/json", ...NO_SNIFF }, body };
}

/** What Go's mux answers where there is nothing. */
export const NOT_FOUND: HttpReply = textReply(404, "404 page not found\n");
