/**
 * A small client for tests and the demo: one request, one answer; a watch as a stream of events.
 * Plain node:https on purpose: contract tests must not share code with what they test.
 *
 * @module
 */

import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { decodeObject, type JsonObject } from "./json.ts";

/** How a client introduces itself. */
export interface Identity {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
  /** Default false: a connection per request, and none is tried twice. */
  readonly keepAlive?: boolean;
}

/** One request. */
export interface ClientRequestOptions {
  readonly method?: string;
  /** With query. */
  readonly path: string;
  /** Sent as JSON unless it is text. */
  readonly body?: object | string;
  /** Default application/json. */
  readonly contentType?: string;
  readonly accept?: string;
}

/** One answer. */
export interface ClientAnswer {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The answer as JSON object; {} when it is none. */
  readonly body: JsonObject;
}

/** An event of a watch. */
export interface ClientEvent {
  readonly type: string;
  readonly object: JsonObject;
}

/** A client with connections of its own. */
export class ApiClient implements Disposable {
  readonly #agent: Agent;

  constructor(private readonly url: string, private readonly identity: Identity) {
    const { ca, cert, key, keepAlive = false } = identity;
    this.#agent = new Agent({ keepAlive, ca, ...(cert && { cert }), ...(key && { key }) });
  }

  /** Rejects when there is no complete answer. */
  async request(options: ClientRequestOptions): Promise<ClientAnswer> {
    const response = await this.#open(options);
    const text = await readAll(response);
    return {
      code: response.statusCode ?? 0,
      headers: response.headers,
      text,
      body: tryParse(text),
    };
  }

  /** Answers of 2xx as object. Throws Error with the message of the Status for others. */
  async call(method: string, options: ClientRequestOptions): Promise<JsonObject> {
    const { code, body, text } = await this.request({ ...options, method });
    if (code >= 200 && code < 300) return body;
    throw new Error(`${method} ${options.path}: ${code} ${body["message"] ?? text}`);
  }

  /**
   * Events until the stream ends; leaving the loop closes it. Throws when the connection breaks, a
   * line is not JSON, or the answer is not 200.
   */
  async *watch(path: string): AsyncGenerator<ClientEvent> {
    const response = await this.#open({ path });
    if (response.statusCode !== 200) {
      throw new Error(`watch ${path}: ${response.statusCode} ${await readAll(response)}`);
    }
    let rest = "";
    try {
      response.setEncoding("utf8");
      for await (const chunk of response) {
        const lines = `${rest}${chunk}`.split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) yield decodeEvent(line);
      }
    } finally {
      response.destroy();
    }
    if (rest !== "") throw new SyntaxError(`Cannot parse watch event: it ends early: ${rest}`);
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  #open(options: ClientRequestOptions): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { token } = this.identity;
      const body = typeof options.body === "object" ? JSON.stringify(options.body) : options.body;
      const request: ClientRequest = httpsRequest(new URL(options.path, this.url), {
        agent: this.#agent,
        method: options.method ?? "GET",
        headers: {
          accept: options.accept ?? "application/json",
          ...(token && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && {
            "content-type": options.contentType ?? "application/json",
            "content-length": new TextEncoder().encode(body).length,
          }),
        },
      }, resolve);
      request.on("error", reject);
      request.end(body);
    });
  }
}

function readAll(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => text += chunk);
    response.on("end", () => resolve(text));
    response.on("error", reject);
    response.on("aborted", () => reject(new Error("connection broke in the middle of the answer")));
    response.on("close", () => {
      if (!response.complete) reject(new Error("connection closed before the end of the answer"));
    });
  });
}

function decodeEvent(line: string): ClientEvent {
  const event = decodeObject(JSON.parse(line));
  return { type: String(event["type"]), object: decodeObject(event["object"]) };
}

function tryParse(text: string): JsonObject {
  try {
    return decodeObject(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return {};
    throw error;
  }
}
