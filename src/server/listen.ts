/**
 * Listening for real, by node:http: it keeps the case of header names and lets a connection be cut
 * before it is answered. A socket on `::` takes IPv4 too; Deno cannot make one for IPv6 only.
 *
 * @module
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isUnspecified } from "../model/ip.ts";
import type { IpFamily } from "../model/ip.ts";
import type { Listen, Listener, ListenOptions } from "./http.ts";

/** Kernels without IPv6, or with it switched off, answer so to a bind on `::`. */
const NO_IPV6 = ["EAFNOSUPPORT", "EADDRNOTAVAIL"];

/** Opens a socket on this host. */
export const listen: Listen = async (options: ListenOptions): Promise<Listener> => {
  if (!isUnspecified(options.ip)) return await bind(options, options.ip);
  try {
    return await bind(options, "::");
  } catch (error) {
    if (!(error instanceof Error && NO_IPV6.includes(String(codeOf(error))))) throw error;
    return await bind(options, "0.0.0.0");
  }
};

function bind(options: ListenOptions, host: string): Promise<Listener> {
  const server = createServer((request, response) => void answer(options, { request, response }));
  server.on("connection", (socket) => {
    if (options.welcomes?.(familyOfRemote(socket.remoteAddress)) === false) socket.destroy();
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port: options.port }, () => {
      server.off("error", reject);
      server.on("error", () => {}); // of one connection; the socket stays open
      resolve({ close: () => closeServer(server) });
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function answer(
  { handler }: ListenOptions,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  const { pathname, searchParams } = new URL(`http://host${request.url ?? "/"}`);
  try {
    const reply = await handler({
      method: request.method ?? "GET",
      path: pathname,
      query: searchParams,
      family: familyOfRemote(request.socket.remoteAddress),
    });
    const body = new TextEncoder().encode(reply.body);
    response.writeHead(reply.status, { ...reply.headers, "Content-Length": body.length });
    response.end(body);
  } catch (error) {
    response.writeHead(500, { "Content-Type": "text/plain; charset=utf-8" });
    response.end(`${error instanceof Error ? error.message : error}\n`);
  }
}

function familyOfRemote(address: string | undefined): IpFamily {
  return address?.includes(":") && !address.startsWith("::ffff:") ? "IPv6" : "IPv4";
}

function codeOf(error: Error): unknown {
  return "code" in error ? error.code : undefined;
}
