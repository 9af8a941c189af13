/**
 * HTTP servers on real sockets: both families on one, cutting off a family, a taken port, headers
 * as they are written on the wire. Runs on loopback addresses. Needs --allow-net.
 */

import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { type IpFamily, parseIp } from "../../src/model/ip.ts";
import { type HttpHandler, textReply } from "../../src/server/http.ts";
import { listen } from "../../src/server/listen.ts";

const EVERYWHERE = parseIp("0.0.0.0");
const LOOPBACK = { IPv4: "127.0.0.1", IPv6: "::1" } as const;

/** The whole answer as bytes say it; "" when the connection is cut. */
async function ask(family: IpFamily, port: number): Promise<string> {
  const connection = await Deno.connect({ hostname: LOOPBACK[family], port });
  try {
    const request = "GET /some?a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    await connection.write(new TextEncoder().encode(request));
    return await new Response(connection.readable).text();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe) {
      return "";
    }
    throw error;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "::", port: 0 });
  return listener.addr.port;
}

const ECHO: HttpHandler = ({ family, path, query }) => ({
  ...textReply(200, `${family} ${path} ${query}`),
  headers: { "X-Load-Balancing-Endpoint-Weight": "2" },
});

Deno.test("listen() on the unspecified address serves both families and tells them apart", async () => {
  const port = freePort();
  const listener = await listen({ ip: EVERYWHERE, port, handler: ECHO });
  match(await ask("IPv4", port), /\r\n\r\nIPv4 \/some a=b$/);
  match(await ask("IPv6", port), /\r\n\r\nIPv6 \/some a=b$/);
  await listener.close();
});

Deno.test("listen() keeps the case of header names and says the length", async () => {
  const port = freePort();
  const listener = await listen({ ip: EVERYWHERE, port, handler: ECHO });
  const answer = await ask("IPv4", port);
  ok(answer.startsWith("HTTP/1.1 200 OK\r\n"), answer);
  ok(answer.includes("\r\nX-Load-Balancing-Endpoint-Weight: 2\r\n"), answer);
  ok(answer.includes("\r\nContent-Length: 14\r\n"), answer);
  await listener.close();
});

Deno.test("listen() cuts off a family that is not welcome", async () => {
  const port = freePort();
  const welcomes = (family: IpFamily) => family === "IPv6";
  const listener = await listen({ ip: EVERYWHERE, port, handler: ECHO, welcomes });
  strictEqual(await ask("IPv4", port), "");
  match(await ask("IPv6", port), /200 OK/);
  await listener.close();
});

Deno.test("listen() rejects on a taken port and gets it once it is free", async () => {
  const port = freePort();
  const ip = parseIp("127.0.0.1");
  const first = await listen({ ip, port, handler: ECHO });
  await rejects(listen({ ip, port, handler: ECHO }), /EADDRINUSE/);
  await first.close();
  const second = await listen({ ip, port, handler: ECHO });
  match(await ask("IPv4", port), /200 OK/);
  await second.close();
});

Deno.test("listen() answers 500 when a handler fails, and goes on", async () => {
  const port = freePort();
  let calls = 0;
  const handler: HttpHandler = () => {
    if (calls++ === 0) throw new Error("no numbers");
    return textReply(200, "fine");
  };
  const listener = await listen({ ip: EVERYWHERE, port, handler });
  match(await ask("IPv4", port), /^HTTP\/1\.1 500 [^]*no numbers/);
  match(await ask("IPv4", port), /^HTTP\/1\.1 200 [^]*fine/);
  await listener.close();
});

Deno.test("listen() closes connections that stay open", async () => {
  const port = freePort();
  const listener = await listen({ ip: EVERYWHERE, port, handler: ECHO });
  using idle = await Deno.connect({ hostname: "127.0.0.1", port });
  await listener.close();
  deepStrictEqual(await idle.read(new Uint8Array(1)), null);
});
