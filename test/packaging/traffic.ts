/**
 * A client whose connections are watched: some stay open and carry numbered bytes all the time,
 * others are opened one after the other. It says `flows` when all that stay open do; on the first
 * line of stdin it ends and says what became of them, as one JSON line.
 *
 *     traffic.ts 10.96.5.1:80,192.168.77.1 192.168.77.2:30080,192.168.77.3
 *
 * Each target is asked from an address of its own: IPVS takes an answer for the latest connection
 * between a client's address and port and a real server, whatever VIP it was made to.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import process from "node:process";

/** What became of the connections. */
export interface TrafficReport {
  /** Connections that were held, and the bytes that came back on them in the right order. */
  readonly held: number;
  readonly bytes: number;
  /** Connections that were opened and answered meanwhile. */
  readonly opened: number;
  /** The longest that one of them took. */
  readonly slowestMs: number;
  /** What went wrong and when, the first of it. */
  readonly failures: readonly string[];
}

const HELD_PER_TARGET = 3;
const WORD_EVERY_MS = 25;
const WORD_SIZE = 512;
/** A prime: a lost word does not go unnoticed. */
const CYCLE = 251;
const OPEN_EVERY_MS = 60;
const LIMIT_MS = 8_000;
const FIRST_LIMIT_MS = 30_000;
const SHOWN_FAILURES = 20;

const failures: string[] = [];
let opened = 0;
let slowestMs = 0;

function fail(what: string): void {
  failures.push(`${new Date().toISOString()} ${what}`);
}

/** Where a connection goes, and the client's address. */
interface Target {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly localAddress: string;
}

function parseTarget(text: string): Target {
  const [name = "", localAddress = ""] = text.split(",");
  const [host = "", port = ""] = name.split(":");
  return { name, host, port: Number(port), localAddress };
}

/** A connection with numbered bytes; the greeting of the server comes first. */
class Held {
  readonly #name: string;
  readonly #socket: Socket;
  #sent = 0;
  #received = -1; // the greeting is not over yet
  #isEnded = false;

  constructor(name: string, target: Target) {
    this.#name = name;
    this.#socket = connect(target);
    this.#socket.on("error", (error) => fail(`${name}: ${error.message}`));
    this.#socket.on("close", () => {
      if (!this.#isEnded) fail(`${name}: closed after ${this.#received} bytes`);
    });
    this.#socket.on("data", (data: Uint8Array) => this.#take(data));
  }

  get received(): number {
    return Math.max(this.#received, 0);
  }

  #take(data: Uint8Array): void {
    let rest = data;
    if (this.#received < 0) {
      const end = rest.indexOf("\n".charCodeAt(0));
      if (end < 0) return;
      rest = rest.subarray(end + 1);
      this.#received = 0;
    }
    for (const byte of rest) {
      if (byte !== this.#received % CYCLE) {
        fail(`${this.#name}: byte ${this.#received} is ${byte}`);
      }
      this.#received++;
    }
  }

  send(): void {
    if (this.#received < 0) return;
    this.#socket.write(Uint8Array.from({ length: WORD_SIZE }, (_, i) => (this.#sent + i) % CYCLE));
    this.#sent += WORD_SIZE;
  }

  /** Waits for what is still under way. */
  async end(): Promise<void> {
    for (let waitedMs = 0; waitedMs < LIMIT_MS && this.received < this.#sent; waitedMs += 50) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    if (this.received !== this.#sent || this.#sent === 0) {
      fail(`${this.#name}: ${this.received} of ${this.#sent} bytes came back`);
    }
    this.#isEnded = true; // others may still wait for their bytes
    this.#socket.destroy();
  }
}

/** Opens one, waits for the greeting, closes it. */
function open(target: Target): void {
  const started = performance.now();
  const socket = connect(target);
  const end = (failure: string | undefined): void => {
    clearTimeout(timer);
    socket.removeAllListeners();
    socket.on("error", () => socket.destroy()); // after the end nobody cares
    socket.destroy();
    if (failure !== undefined) fail(`new connection to ${target.name}: ${failure}`);
    else opened++;
    slowestMs = Math.max(slowestMs, performance.now() - started);
  };
  const timer = setTimeout(() => end("no answer"), LIMIT_MS);
  socket.on("data", () => end(undefined));
  socket.on("error", (error) => end(error.message));
  socket.on("close", () => end("closed"));
}

async function flows(held: readonly Held[]): Promise<void> {
  for (let waitedMs = 0; waitedMs < FIRST_LIMIT_MS; waitedMs += 50) {
    if (held.every(({ received }) => received > 0)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("No traffic flows to begin with");
}

async function main(args: readonly string[]): Promise<void> {
  const targets = args.map(parseTarget);
  const held = targets.flatMap((target) =>
    Array.from({ length: HELD_PER_TARGET }, (_, i) => new Held(`${target.name} #${i}`, target))
  );
  const words = setInterval(() => held.forEach((one) => one.send()), WORD_EVERY_MS);
  const news = setInterval(() => targets.forEach(open), OPEN_EVERY_MS);
  await flows(held);
  process.stdout.write("flows\n");
  await new Promise((resolve) => process.stdin.once("data", resolve));
  clearInterval(news);
  clearInterval(words);
  await Promise.all(held.map((one) => one.end()));
  const bytes = held.reduce((sum, { received }) => sum + received, 0);
  const report: TrafficReport = {
    ...{ held: held.length, bytes, opened },
    slowestMs: Math.round(slowestMs),
    failures: failures.slice(0, SHOWN_FAILURES),
  };
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}

await main(process.argv.slice(2));
