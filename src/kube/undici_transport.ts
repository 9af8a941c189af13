/**
 * HTTP/1.1 over TLS by undici.
 *
 * Two things are so because of Deno 2.9: reading is never paused before 64 MiB, since node:tls
 * loses the end of a paused stream when the peer dies; and HTTP/2 is off, since a dead connection
 * would go unnoticed.
 *
 * A client certificate, or the authority of the server, that is replaced in its file is used for the
 * next request; watches under way stay on their connections.
 *
 * @module
 */

import { Agent } from "undici";
import { ConfigError } from "../config/problem.ts";
import type { Clock } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { explainDistrust } from "./explain_tls.ts";
import { SYSTEM_CLOCK } from "./system_clock.ts";
import type { HttpReply, HttpRequest, Transport } from "./transport.ts";

const HIGH_WATER_MARK_BYTES = 64 << 20;
const CONNECT_TIMEOUT_MS = 10_000;

/** Also a watch that has nothing to say begins with the head of its reply. */
const HEADERS_TIMEOUT_MS = 60_000;

/** Certificates are read again after this time: whoever rotates them leaves hours of overlap. */
const RENEW_MS = 60_000;

const UNAUTHORIZED = 401;

/** Opens no connection yet. */
export function openUndiciTransport(
  connection: Connection,
  clock: Pick<Clock, "nowMs"> = SYSTEM_CLOCK,
): Transport {
  return new UndiciTransport(connection, clock);
}

class UndiciTransport implements Transport {
  readonly #clock: Pick<Clock, "nowMs">;
  #connection: Connection;
  #agent: Agent;
  /** Those with replies under way whose certificates were replaced. */
  readonly #retired = new Set<Agent>();
  #renewedMs: number;

  constructor(connection: Connection, clock: Pick<Clock, "nowMs">) {
    this.#clock = clock;
    this.#connection = connection;
    this.#agent = openAgent(connection);
    this.#renewedMs = clock.nowMs();
  }

  async send(request: HttpRequest): Promise<HttpReply> {
    await this.#renew();
    const connection = this.#connection;
    try {
      const reply = await send(this.#agent, { ...request, server: connection.server });
      if (reply.status === UNAUTHORIZED) this.#renewedMs = -Infinity;
      return reply;
    } catch (error) {
      const reason = await explainDistrust(error, connection);
      if (reason !== undefined) this.#renewedMs = -Infinity;
      throw reason === undefined ? error : new Error(reason, { cause: error });
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#agent, ...this.#retired].map((agent) => agent.destroy()));
  }

  async #renew(): Promise<void> {
    const nowMs = this.#clock.nowMs();
    if (Math.abs(nowMs - this.#renewedMs) < RENEW_MS) return;
    this.#renewedMs = nowMs;
    const connection = await renewed(this.#connection);
    if (connection === this.#connection) return;
    this.#retire(this.#agent);
    this.#connection = connection;
    this.#agent = openAgent(connection);
  }

  /** It closes when the last of its watches has ended. */
  #retire(agent: Agent): void {
    this.#retired.add(agent);
    const forget = () => void this.#retired.delete(agent);
    agent.close().then(forget, forget);
  }
}

/** While files are being replaced, what we have is as good as ever. */
async function renewed(connection: Connection): Promise<Connection> {
  try {
    return await connection.renew();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return connection;
  }
}

function openAgent(connection: Connection): Agent {
  return new Agent({ allowH2: false, connect: connectOptions(connection) });
}

function connectOptions(connection: Connection): NonNullable<Agent.Options["connect"]> {
  const { caPem, clientCertificatePem, clientKeyPem, tlsServerName } = connection;
  // undici hands all of these on to node:net and node:tls; its types do not list highWaterMark.
  const options = {
    highWaterMark: HIGH_WATER_MARK_BYTES,
    timeout: CONNECT_TIMEOUT_MS,
    rejectUnauthorized: !connection.insecureSkipTlsVerify,
    ...(caPem !== undefined && { ca: caPem }),
    ...(clientCertificatePem !== undefined && { cert: clientCertificatePem }),
    ...(clientKeyPem !== undefined && { key: clientKeyPem }),
    ...(tlsServerName !== undefined && { servername: tlsServerName }),
  };
  return options;
}

async function send(
  agent: Agent,
  request: HttpRequest & { readonly server: string },
): Promise<HttpReply> {
  const url = new URL(request.server);
  const reply = await agent.request({
    origin: url.origin,
    path: url.pathname.replace(/\/+$/, "") + request.path,
    method: request.method,
    headers: request.headers,
    body: request.body ?? null,
    signal: request.signal,
    headersTimeout: HEADERS_TIMEOUT_MS,
    bodyTimeout: request.idleTimeoutMs,
  });
  return { status: reply.statusCode, headers: singleValues(reply.headers), body: reply.body };
}

function singleValues(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, [value ?? ""].flat().join(", ")]),
  );
}
