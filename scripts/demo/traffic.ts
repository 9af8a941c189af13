/**
 * Real traffic: HTTP and UDP servers that say who they are and whom they see, and clients that make
 * a new connection each time and tell apart an answer, a refusal and silence.
 *
 * @module
 */

/** Ports that every pod serves. */
export const HTTP_PORT = 8080;
export const UDP_PORT = 5353;

/** What is asked, and how often. */
export interface Question {
  readonly protocol: "http" | "udp";
  readonly host: string;
  readonly port: number;
  /** Path of HTTP; default `/`. */
  readonly path?: string;
  readonly count: number;
  /** Source address; default: what the routes say. */
  readonly from?: string;
  readonly timeoutMs: number;
}

/** What came back. */
export interface Tally {
  /** How often by pod, or `refused`, `unreachable`, `silence`, or the text of other answers. */
  readonly hits: Readonly<Record<string, number>>;
  /** The clients that the pods saw. */
  readonly clients: readonly string[];
}

/** One answer. */
export interface Reply {
  readonly by: string;
  readonly client?: string;
}

/** A pod serves HTTP and UDP on its addresses until the process ends. */
export function servePod(name: string, addresses: readonly string[]): void {
  for (const hostname of addresses) {
    Deno.serve({ hostname, port: HTTP_PORT, onListen: () => {} }, (_request, { remoteAddr }) => {
      return Response.json({ by: name, client: hostOf(remoteAddr) }, {
        headers: { connection: "close" },
      });
    });
    void serveUdp(name, hostname);
  }
}

async function serveUdp(name: string, hostname: string): Promise<void> {
  const socket = Deno.listenDatagram({ hostname, port: UDP_PORT, transport: "udp" });
  for await (const [, client] of socket) {
    const reply = { by: name, client: hostOf(client) };
    await socket.send(new TextEncoder().encode(JSON.stringify(reply)), client);
  }
}

function hostOf(address: Deno.Addr): string {
  return address.transport === "tcp" || address.transport === "udp" ? address.hostname : "?";
}

const IN_PARALLEL = 8;

/** Asks as often as wanted, some at a time. */
export async function ask(question: Question): Promise<Tally> {
  const hits: Record<string, number> = {};
  const clients = new Set<string>();
  let left = question.count;
  const client = openClient(question);
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const { by, client: seen } = await client.ask();
      hits[by] = (hits[by] ?? 0) + 1;
      if (seen !== undefined) clients.add(seen);
    }
  };
  await Promise.all(Array.from({ length: Math.min(IN_PARALLEL, question.count) }, worker));
  client.close();
  return { hits, clients: [...clients].sort() };
}

/** Something that asks the same again and again. */
export interface Client {
  readonly ask: () => Promise<Reply>;
  readonly close: () => void;
}

/** A client whose every question is a new connection or flow. */
export function openClient(question: Question): Client {
  if (question.protocol === "udp") return { ask: () => askUdp(question), close: () => {} };
  const { from } = question;
  const client = Deno.createHttpClient({
    poolMaxIdlePerHost: 0,
    ...(from !== undefined && { localAddress: from }),
  });
  return { ask: () => askHttp(question, client), close: () => client.close() };
}

async function askHttp(question: Question, client: Deno.HttpClient): Promise<Reply> {
  const { host, port, path = "/", timeoutMs } = question;
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}${path}`;
  try {
    const response = await fetch(url, { client, signal: AbortSignal.timeout(timeoutMs) });
    const text = await response.text();
    return response.ok ? decodeReply(text) : { by: `HTTP ${response.status}` };
  } catch (error) {
    return { by: failureOf(error) };
  }
}

function failureOf(error: unknown): string {
  if (error instanceof DOMException && error.name === "TimeoutError") return "silence";
  const text = error instanceof Error ? `${error.message} ${error.cause ?? ""}` : String(error);
  if (/refused/i.test(text)) return "refused";
  if (/unreachable|no route/i.test(text)) return "unreachable";
  return /reset/i.test(text) ? "reset" : `error: ${text.slice(0, 60)}`;
}

async function askUdp({ host, port, from, timeoutMs }: Question): Promise<Reply> {
  const socket = Deno.listenDatagram({
    hostname: from ?? (host.includes(":") ? "::" : "0.0.0.0"),
    port: 0,
    transport: "udp",
  });
  try {
    await socket.send(new TextEncoder().encode("who?"), { hostname: host, port, transport: "udp" });
  } catch (error) {
    socket.close();
    return { by: failureOf(error) };
  }
  const { promise: silence, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  try {
    const received = await Promise.race([socket.receive(), silence]);
    return received ? decodeReply(new TextDecoder().decode(received[0])) : { by: "silence" };
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

/** Health check ports and the like answer otherwise than pods: their text is the answer. */
function decodeReply(text: string): Reply {
  try {
    const reply = JSON.parse(text) as Partial<Reply>;
    if (typeof reply.by === "string") return { ...reply, by: reply.by };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { by: text.trim() };
}
