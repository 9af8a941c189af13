/**
 * The client that watches connections: it tells of what is lost, and of nothing else. Loopback only.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { TrafficReport } from "./traffic.ts";

const CLIENT = new URL("traffic.ts", import.meta.url).pathname;
const RUN_MS = 1_000;

/** What a server does with bytes of its connection number `n`, counted from 0. */
type Answer = (socket: Socket, data: Uint8Array, n: number) => void;

/** Lets the client talk to a server for a while. */
async function reportOn(answer: Answer): Promise<TrafficReport> {
  let count = 0;
  const server = createServer((socket) => {
    const n = count++;
    socket.on("error", () => socket.destroy());
    socket.on("data", (data: Uint8Array) => answer(socket, data, n));
    socket.write("server\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--cached-only", CLIENT, `127.0.0.1:${port},127.0.0.1`],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  try {
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    assert.equal((await lines.read()).value, "flows\n");
    await new Promise((resolve) => setTimeout(resolve, RUN_MS));
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("end\n"));
    await writer.close();
    let text = "";
    for (let part = await lines.read(); !part.done; part = await lines.read()) text += part.value;
    return JSON.parse(text);
  } finally {
    await child.status;
    server.close();
  }
}

Deno.test("traffic: a connection that answers later than the others has lost nothing", async () => {
  const report = await reportOn((socket, data, n) => {
    setTimeout(() => socket.write(data), n === 0 ? 200 : 0);
  });
  assert.deepEqual(report.failures, []);
  assert.ok(report.held === 3 && report.bytes > 0 && report.opened > 0, JSON.stringify(report));
});

Deno.test("traffic: a connection that is closed is told", async () => {
  let bytes = 0;
  const report = await reportOn((socket, data, n) => {
    if (n === 0) bytes += data.length;
    if (n === 0 && bytes > 5_000) socket.destroy();
    else socket.write(data);
  });
  assert.match(report.failures.join("\n"), /^\S+Z 127\.0\.0\.1:\d+ #0: closed after \d+ bytes/);
});

Deno.test("traffic: bytes that are lost are told", async () => {
  let words = 0;
  const report = await reportOn((socket, data, n) => {
    if (n === 0 && ++words === 5) return;
    socket.write(data);
  });
  assert.match(report.failures.join("\n"), /#0: byte \d+ is \d+/);
});
