/**
 * Both ends of test traffic: servers that say who they are and whom they see, and clients that
 * tell apart an answer, a refusal and silence.
 *
 * @module
 */

import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { connect, createServer } from "node:net";

/** What is asked. */
export interface Target {
  readonly protocol: "tcp" | "udp";
  readonly host: string;
  readonly port: number;
  /** Default 1,500. */
  readonly timeoutMs?: number;
  /** UDP: to be the same client again. */
  readonly localPort?: number;
}

/** What comes of it. */
export type Answer =
  | {
    readonly kind: "answer";
    /** Name of the server. */
    readonly by: string;
    /** Address of the client as the server sees it. */
    readonly from: string;
  }
  | { readonly kind: "refused" }
  | { readonly kind: "silence" };

/** A server of test traffic. */
export interface Listener {
  readonly protocol: "tcp" | "udp";
  readonly host: string;
  readonly port: number;
  readonly name: string;
}

/** Starts a server; it listens when the promise resolves, until the process ends. */
export async function serve(listener: Listener): Promise<void> {
  await (listener.protocol === "tcp" ? serveTcp(listener) : serveUdp(listener));
}

/** TCP: says `NAME CLIENT`, then echoes. */
function serveTcp({ host, port, name }: Listener): Promise<void> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.write(`${name} ${socket.remoteAddress}\n`);
    socket.pipe(socket);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve());
  });
}

/** UDP: one `NAME CLIENT` for each datagram. */
function serveUdp({ host, port, name }: Listener): Promise<void> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  socket.on("message", (_message, client) => {
    socket.send(`${name} ${client.address}\n`, client.port, client.address);
  });
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, host, () => resolve());
  });
}

/** Asks once. */
export async function probe(target: Target): Promise<Answer> {
  return await (target.protocol === "tcp" ? probeTcp(target) : probeUdp(target));
}

const REFUSALS = ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EACCES", "EPERM"];

function probeTcp({ host, port, timeoutMs = 1_500 }: Target): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const end = (answer: Answer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end({ kind: "silence" }), timeoutMs);
    let text = "";
    socket.on("data", (data) => {
      text += data.toString();
      if (text.includes("\n")) end(decodeAnswer(text));
    });
    socket.on("close", () => end({ kind: "refused" }));
    socket.on("error", (error: Error & { code?: string }) => {
      if (REFUSALS.includes(error.code ?? "")) end({ kind: "refused" });
      else if (error.code === "ETIMEDOUT") end({ kind: "silence" });
      else if (error.code === "ECONNRESET") end({ kind: "refused" });
      else reject(error);
    });
  });
}

async function probeUdp({ host, port, timeoutMs = 1_500, localPort = 0 }: Target): Promise<Answer> {
  const isV6 = host.includes(":");
  const socket = createSocket(isV6 ? "udp6" : "udp4");
  try {
    await bind(socket, { host: isV6 ? "::" : "0.0.0.0", port: localPort });
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ kind: "silence" }), timeoutMs);
      socket.on("message", (message) => {
        clearTimeout(timer);
        resolve(decodeAnswer(message.toString()));
      });
      socket.send("who\n", port, host);
    });
  } finally {
    socket.close();
  }
}

function bind(socket: UdpSocket, where: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(where.port, where.host, () => resolve());
  });
}

function decodeAnswer(text: string): Answer {
  const [by = "", from = ""] = text.trim().split(" ");
  return { kind: "answer", by, from: from.replace(/^::ffff:/, "") };
}

/** A TCP connection that stays, and says things. */
export interface Conversation extends Disposable {
  /** Who is at the other end. */
  readonly answer: Answer;
  /** Sends a word; true when the echo comes back. */
  say(word: string): Promise<boolean>;
}

/** Opens a connection and waits for the greeting. Rejects when nobody answers. */
export async function converse(host: string, port: number): Promise<Conversation> {
  const socket = connect({ host, port });
  const lines = socket[Symbol.asyncIterator]();
  socket.setEncoding("utf8");
  const greeting = await within(lines.next(), 3_000);
  return {
    answer: greeting === undefined ? { kind: "silence" } : decodeAnswer(String(greeting.value)),
    async say(word) {
      socket.write(`${word}\n`);
      const echo = await within(lines.next(), 3_000);
      return echo !== undefined && String(echo.value) === `${word}\n`;
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

async function within<T>(work: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
