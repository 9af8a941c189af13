/**
 * {@linkcode Nft} by the nft tool: `nft -f -` to write, `nft -j list table` to read, `nft monitor` to
 * hear of changes. Slow (a process, and nft reads much of the table before it writes), but it needs
 * nothing but the tool; and what netlink.ts does is held against it.
 *
 * @module
 */

import { pause } from "../clock/pause.ts";
import { ExecError, type Run, run } from "../exec/run.ts";
import { Generations } from "./generations.ts";
import { isNotFound, type Nft, NftError, type Written } from "./nft.ts";
import type { ObservedTable } from "./observed.ts";
import { parseTable } from "./parse_table.ts";
import { formatListedRules, formatTransaction } from "./print.ts";
import { listingError, transactionError } from "./tool_error.ts";
import type { Chain, TableName, Transaction } from "./values.ts";

/** A bounded transaction takes nft less than a second; a machine may be very slow. */
const TIMEOUT_MS = 60_000;

/** How long after the last line of a commit its own transaction has returned for sure. */
const SETTLE_MS = 500;

/**
 * What nft 1.0.6 says of elements after somebody flushed the table they are in: it has forgotten
 * all sets, and only a new one knows them again.
 */
const BLIND = "W: Received event for an unknown ";

/** A monitor that ends at once must not be started in a tight loop. */
const MONITOR_PAUSE_MS = 1_000;

/** How the tool is started. */
export interface NftToolOptions {
  readonly run?: Run;
  /** The command that prints changes as they happen. */
  readonly monitor?: readonly string[];
}

/** The nft tool as a handle. */
export class NftTool implements Nft {
  /** nft reads much of the table before each transaction, so there should not be many. */
  readonly batchCommands = 2_000;
  readonly #run: Run;
  readonly #monitor: readonly string[];
  readonly #generations = new Map<string, Generations>();
  #inFlight = 0;

  constructor(options: NftToolOptions = {}) {
    this.#run = options.run ?? run;
    this.#monitor = options.monitor ?? ["nft", "monitor"];
  }

  async transact(transaction: Transaction): Promise<Written> {
    const stdin = new TextEncoder().encode(textOf(transaction));
    this.#inFlight++;
    try {
      await this.#run("nft", ["-f", "-"], { stdin, timeoutMs: TIMEOUT_MS });
      this.#generations.get(keyOf(transaction.table))?.noteOwn();
    } catch (error) {
      throw error instanceof ExecError ? transactionError(error, transaction) : error;
    } finally {
      this.#inFlight--;
    }
    return { bytes: stdin.length, processes: 1 };
  }

  async list(table: TableName): Promise<ObservedTable | undefined> {
    const args = ["-j", "list", "table", table.family, table.name];
    try {
      const { stdout } = await this.#run("nft", args, { timeoutMs: TIMEOUT_MS });
      return parseTable(stdout, table);
    } catch (error) {
      if (error instanceof ExecError) return absentOr(listingError(error));
      if (!(error instanceof SyntaxError)) throw error;
      throw new NftError(`Cannot read the output of "nft ${args.join(" ")}": ${error.message}`, {
        failure: "unavailable",
      }, { cause: error });
    }
  }

  fingerprints(chain: Chain, table: TableName): readonly string[] {
    return formatListedRules(chain, table.family);
  }

  async watch(
    table: TableName,
    { onChange, signal }: {
      readonly onChange: (what: string) => void;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const generations = new Generations(table);
    this.#generations.set(keyOf(table), generations);
    const settle = () => {
      if (this.#inFlight > 0) return;
      const what = generations.settle();
      if (what !== undefined) onChange(what);
    };
    const timer = setInterval(settle, SETTLE_MS);
    let comeback: ReturnType<typeof setTimeout> | undefined;
    try {
      while (!signal.aborted) {
        const lost = new AbortController();
        await readMonitor(this.#monitor, {
          onLine: (line) => line.startsWith(BLIND) ? lost.abort() : generations.note(line),
          signal: AbortSignal.any([signal, lost.signal]),
        });
        if (signal.aborted) break;
        onChange(lost.signal.aborted ? "nft monitor lost sight of the table" : "nft monitor ended");
        await pause(MONITOR_PAUSE_MS, signal);
        // What happened while none listened nobody has told of.
        clearTimeout(comeback);
        comeback = setTimeout(() => onChange("nft monitor was away"), SETTLE_MS);
      }
    } finally {
      clearInterval(timer);
      clearTimeout(comeback);
      this.#generations.delete(keyOf(table));
    }
  }

  breathe(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, 0));
  }

  close(): void {}
}

function absentOr(error: NftError): undefined {
  if (isNotFound(error)) return undefined;
  throw error;
}

function textOf(transaction: Transaction): string {
  try {
    return formatTransaction(transaction);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new NftError(cause.message, { failure: "refused" }, { cause });
  }
}

function keyOf(table: TableName): string {
  return `${table.family} ${table.name}`;
}

async function readMonitor(
  [command = "nft", ...args]: readonly string[],
  { onLine, signal }: {
    readonly onLine: (line: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const child = new Deno.Command(command, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal,
  }).spawn();
  await Promise.all([readLines(child.stdout, onLine), readLines(child.stderr, onLine)]);
  await child.status;
}

async function readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onLine: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(onLine);
  }
}
