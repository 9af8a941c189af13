/**
 * A process in a namespace that serves and asks what it is told to: one JSON request a line on
 * stdin, one JSON answer a line on stdout with the same `id`.
 *
 *     {"id":1,"serve":{"protocol":"tcp","host":"10.1.1.11","port":8080,"name":"pod-a"}}
 *     {"id":2,"probe":{"protocol":"tcp","host":"172.30.0.10","port":80}}
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import type { Network } from "../support/netns.ts";
import { type Answer, type Listener, probe, serve, type Target } from "./probe.ts";

interface Request {
  readonly id: number;
  readonly serve?: Listener;
  readonly probe?: Target;
}

interface Reply {
  readonly id: number;
  readonly answer?: Answer;
  readonly error?: string;
}

/** An agent as its starter sees it. */
export interface Agent extends AsyncDisposable {
  serve(listener: Listener): Promise<void>;
  probe(target: Target): Promise<Answer>;
}

/** Starts an agent in a namespace. */
export function startAgent(network: Network, namespace: string): Agent {
  const child = network.spawn(namespace, [
    ...[Deno.execPath(), "run", "--no-check", "--cached-only", "-A"],
    new URL(import.meta.url).pathname,
  ], { stdin: "piped", stdout: "piped" });
  const waiting = new Map<number, (reply: Reply) => void>();
  const stdin = child.stdin.getWriter();
  const done = readReplies(child.stdout, waiting);
  let count = 0;
  const ask = async (request: Omit<Request, "id">): Promise<Reply> => {
    const id = ++count;
    const { promise, resolve } = Promise.withResolvers<Reply>();
    waiting.set(id, resolve);
    await stdin.write(new TextEncoder().encode(`${JSON.stringify({ id, ...request })}\n`));
    const reply = await promise;
    if (reply.error !== undefined) throw new Error(`agent in ${namespace}: ${reply.error}`);
    return reply;
  };
  return {
    async serve(listener) {
      await ask({ serve: listener });
    },
    async probe(target) {
      return (await ask({ probe: target })).answer ?? { kind: "silence" };
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await Promise.all([child.status, done]);
    },
  };
}

async function readReplies(
  stdout: ReadableStream<Uint8Array<ArrayBuffer>>,
  waiting: Map<number, (reply: Reply) => void>,
): Promise<void> {
  let rest = "";
  for await (const text of stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const reply = decodeReply(line);
      waiting.get(reply.id)?.(reply);
      waiting.delete(reply.id);
    }
  }
}

/** Lines of an agent, which is this file. */
function decodeReply(line: string): Reply {
  return JSON.parse(line) as Reply;
}

function decodeRequest(line: string): Request {
  return JSON.parse(line) as Request;
}

async function handle(request: Request): Promise<Reply> {
  const { id } = request;
  try {
    if (request.serve) await serve(request.serve);
    return { id, ...(request.probe && { answer: await probe(request.probe) }) };
  } catch (error) {
    return { id, error: String(error) };
  }
}

async function main(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    void handle(decodeRequest(line)).then((reply) =>
      process.stdout.write(`${JSON.stringify(reply)}\n`)
    );
  }
  process.exit(0);
}

if (import.meta.main) await main();
