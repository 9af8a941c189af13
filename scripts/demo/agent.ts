/**
 * The process in each namespace: serves as pods, asks as a client, writes to the API. One JSON
 * request a line on stdin, one JSON reply a line on stdout with the same `id`.
 *
 *     {"id":1,"serve":{"name":"web-1","addresses":["10.244.1.11"]}}
 *     {"id":2,"ask":{"protocol":"http","host":"10.96.10.1","port":80,"count":20,"timeoutMs":1000}}
 *     {"id":3,"waitFor":{"question":{...},"goal":{"kind":"seen","pod":"web-4"}}}
 *     {"id":4,"call":{"method":"PATCH","url":"https://...","body":{...},"directory":"/tmp/..."}}
 *
 * With `--stay` it goes on serving when stdin ends.
 *
 * @module
 */

import { ask, openClient, type Question, type Reply, servePod, type Tally } from "./traffic.ts";

/** What to wait for. */
export type Goal =
  /** This pod answers. */
  | { readonly kind: "seen"; readonly pod: string }
  /** From now on only this pod answers. */
  | { readonly kind: "only"; readonly pod: string }
  /** From now on nobody answers. */
  | { readonly kind: "gone" };

/** A request to the API server with the credentials of an administrator in `directory`. */
export interface Call {
  readonly method: string;
  readonly url: string;
  readonly body?: object;
  readonly directory: string;
}

/** A request to an agent: one of these. */
export interface AgentRequest {
  readonly id: number;
  readonly serve?: { readonly name: string; readonly addresses: readonly string[] };
  readonly ask?: Question;
  readonly waitFor?: { readonly question: Question; readonly goal: Goal };
  readonly call?: Call;
}

/** What an agent replies. */
export interface AgentReply {
  readonly id: number;
  readonly error?: string;
  readonly tally?: Tally;
  /** When it was so, or was sent: ms since 1970 with fractions. */
  readonly atMs?: number;
}

/** So many replies in a row make a state: chance alone would not. */
const STEADY: Readonly<Record<Goal["kind"], number>> = { seen: 1, only: 40, gone: 4 };
const WAIT_LIMIT_MS = 15_000;

async function handle(request: AgentRequest): Promise<Omit<AgentReply, "id">> {
  if (request.serve) servePod(request.serve.name, request.serve.addresses);
  if (request.ask) return { tally: await ask(request.ask) };
  if (request.waitFor) return { atMs: await waitFor(request.waitFor) };
  if (request.call) return { atMs: await call(request.call) };
  return {};
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

async function waitFor(
  { question, goal }: { question: Question; goal: Goal },
): Promise<number> {
  const client = openClient(question);
  const needed = STEADY[goal.kind];
  let since = nowMs();
  let count = 0;
  try {
    for (const begin = since; count < needed; count++) {
      const reply = await client.ask();
      if (nowMs() - begin > WAIT_LIMIT_MS) throw new Error(`still ${reply.by} after 15 s`);
      if (!isGoal(goal, reply)) count = -1;
      if (count <= 0) since = nowMs();
    }
  } finally {
    client.close();
  }
  return since;
}

function isGoal(goal: Goal, { by, client }: Reply): boolean {
  return goal.kind === "gone" ? client === undefined : by === goal.pod;
}

async function call({ method, url, body, directory }: Call): Promise<number> {
  const read = (name: string): Promise<string> => Deno.readTextFile(`${directory}/${name}`);
  using client = Deno.createHttpClient({
    caCerts: [await read("ca.crt")],
    cert: await read("admin.crt"),
    key: await read("admin.key"),
  });
  const atMs = nowMs();
  const response = await fetch(url, {
    client,
    method,
    headers: { "content-type": "application/merge-patch+json" },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return atMs;
}

async function main(): Promise<void> {
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  let rest = "";
  for await (const text of lines) {
    const parts = `${rest}${text}`.split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) void answer(decodeRequest(line));
  }
  if (!Deno.args.includes("--stay")) Deno.exit(0);
}

async function answer(request: AgentRequest): Promise<void> {
  let reply: AgentReply;
  try {
    reply = { ...await handle(request), id: request.id };
  } catch (error) {
    reply = { id: request.id, error: error instanceof Error ? error.message : String(error) };
  }
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(reply)}\n`));
}

/** A line of agent_handle.ts. */
function decodeRequest(line: string): AgentRequest {
  return JSON.parse(line) as AgentRequest;
}

if (import.meta.main) await main();
