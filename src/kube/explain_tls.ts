/**
 * Asks a server for its certificate once more, to say why it was not trusted.
 *
 * @module
 */

import { connect } from "node:tls";
import { distrustReason, parseCertificate } from "./certificates.ts";
import type { Connection } from "./connection.ts";
import { SYSTEM_CLOCK } from "./system_clock.ts";

/** What node:tls says when a chain does not verify, whatever the cause. */
const DISTRUST_CODES = [
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "CERT_HAS_EXPIRED",
];

const TIMEOUT_MS = 5_000;

/** The reason why the server was not trusted; undefined when the error is not about trust. */
export async function explainDistrust(
  error: unknown,
  connection: Connection,
): Promise<string | undefined> {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (!DISTRUST_CODES.includes(String(code))) return undefined;
  const certificate = parseCertificate(await readServerCertificate(connection));
  const context = { caPem: connection.caPem, nowMs: SYSTEM_CLOCK.nowMs() };
  return certificate && distrustReason(certificate, context);
}

/** DER; empty when the server did not show one. No credentials are sent. */
function readServerCertificate({ server, tlsServerName }: Connection): Promise<Uint8Array> {
  const { hostname, port } = new URL(server);
  return new Promise((resolve) => {
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port || 443),
      rejectUnauthorized: false,
      ...(tlsServerName !== undefined && { servername: tlsServerName }),
    });
    const end = (der: Uint8Array = new Uint8Array()) => {
      socket.destroy();
      resolve(der);
    };
    socket.setTimeout(TIMEOUT_MS, () => end());
    socket.once("error", () => end());
    socket.once("close", () => end());
    socket.once("secureConnect", () => end(socket.getPeerCertificate().raw));
  });
}
