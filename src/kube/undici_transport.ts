/**
 * HTTP/1.1 over TLS by undici.
 *
 * Two things are so because of Deno 2.9: reading is never paused before 64 MiB, since node:tls
 * loses the end of a paused stream when the peer dies; and HTTP/2 is off, since a dead connection
 * would go unnoticed.
 *
 * @module
 */

import { Agent } from "undici";
import type { Connection } from "./connection.ts";
import { explainDistrust } from "./explain_tls.ts";
import type { HttpReply, HttpRequest, Transport } from "./transport.ts";

const HIGH_WATER_MARK_BYTES = 64 << 20;
const CONNECT_TIMEOUT_MS = 10_000;

/** Also a watch that has nothing to say begins with the head of its reply. */
const HEADERS_TIMEOUT_MS = 60_000;

/** Opens no connection yet. */
export function openUndiciTransport(connection: Connection): Transport {
  const url = new URL(connection.server);
  const prefix = url.pathname.replace(/\/+$/, "");
  const agent = new Agent({ allowH2: false, connect: connectOptions(connection) });
  return {
    async send(request) {
      try {
        return await send(agent, { ...request, origin: url.origin, prefix });
      } catch (error) {
        const reason = await explainDistrust(error, connection);
        throw reason === undefined ? error : new Error(reason, { cause: error });
      }
    },
    close: () => agent.destroy(),
  };
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
  request: HttpRequest & { readonly origin: string; readonly prefix: string },
): Promise<HttpReply> {
  const reply = await agent.request({
    origin: request.origin,
    path: request.prefix + request.path,
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
