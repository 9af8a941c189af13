/**
 * The agents as the demo sees them: a process in a namespace that answers.
 *
 * @module
 */

import type { Network } from "../../test/support/netns.ts";
import type { AgentReply, AgentRequest, Call, Goal } from "./agent.ts";
import type { Question, Tally } from "./traffic.ts";

const AGENT = new URL("agent.ts", import.meta.url).pathname;

/** A running agent. It dies with its namespace. */
export class Agent {
  readonly #waiting = new Map<number, (reply: AgentReply) => void>();
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  #count = 0;

  /** `stays`: it serves on when the demo ends. */
  constructor(network: Network, readonly place: string, { stays }: { stays: boolean }) {
    const child = network.spawn(place, [
      ...[Deno.execPath(), "run", "--no-check", "--cached-only", "-A", AGENT],
      ...stays ? ["--stay"] : [],
    ], { stdin: "piped", stdout: "piped", stderr: "null" });
    child.unref();
    this.#stdin = child.stdin.getWriter();
    void this.#read(child.stdout);
  }

  async serve(name: string, addresses: readonly string[]): Promise<void> {
    await this.#request({ serve: { name, addresses } });
  }

  async ask(question: Question): Promise<Tally> {
    return (await this.#request({ ask: question })).tally ?? { hits: {}, clients: [] };
  }

  /** When the goal was reached: ms since 1970. Throws after 15 s. */
  async waitFor(question: Question, goal: Goal): Promise<number> {
    return (await this.#request({ waitFor: { question, goal } })).atMs ?? 0;
  }

  /** When the request was sent: ms since 1970. Throws unless it succeeds. */
  async call(call: Call): Promise<number> {
    return (await this.#request({ call })).atMs ?? 0;
  }

  async #request(request: Omit<AgentRequest, "id">): Promise<AgentReply> {
    const id = ++this.#count;
    const { promise, resolve } = Promise.withResolvers<AgentReply>();
    this.#waiting.set(id, resolve);
    await this.#stdin.write(new TextEncoder().encode(`${JSON.stringify({ id, ...request })}\n`));
    const reply = await promise;
    if (reply.error !== undefined) throw new Error(`In ${this.place}: ${reply.error}`);
    return reply;
  }

  async #read(stdout: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stdout.pipeThrough(new TextDecoderStream())) {
      const lines = `${rest}${text}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#settle(decodeReply(line));
    }
    for (const id of this.#waiting.keys()) this.#settle({ id, error: "the process ended" });
  }

  #settle(reply: AgentReply): void {
    this.#waiting.get(reply.id)?.(reply);
    this.#waiting.delete(reply.id);
  }
}

/** A line of agent.ts. */
function decodeReply(line: string): AgentReply {
  return JSON.parse(line) as AgentReply;
}
