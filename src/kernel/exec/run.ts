/**
 * Child processes: the one place where vipd starts a tool.
 *
 * A tool that hangs is killed, one that ends before it has read its input is not an error of its
 * own: its exit code and its stderr say what was wrong.
 *
 * @module
 */

/** How a tool is run. */
export interface RunOptions {
  readonly stdin?: string | Uint8Array;
  /** Default 30,000. After that the child is killed and {@linkcode ExecError} says so. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What a tool printed before it ended with status 0. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a tool: the seam for tests of what is built on tools. */
export type Run = (
  command: string,
  args: readonly string[],
  options?: RunOptions,
) => Promise<Output>;

/** Why a command gave no result. */
export type ExecFailure = "exit" | "not-found" | "not-allowed" | "timeout" | "signal";

/** A tool that could not be started, hung, or ended with an error. */
export class ExecError extends Error {
  override readonly name = "ExecError";
  readonly failure: ExecFailure;
  /** Exit status; undefined when there was none. */
  readonly code: number | undefined;
  readonly stderr: string;
  readonly stdout: string;

  constructor(
    readonly command: string,
    detail: { failure: ExecFailure; code?: number; stderr?: string; stdout?: string },
    options?: ErrorOptions,
  ) {
    const stderr = detail.stderr?.trim() ?? "";
    const why = {
      exit: `exit status ${detail.code}`,
      "not-found": "not found",
      "not-allowed": "it was not there when vipd started; start vipd again",
      timeout: "timed out",
      signal: "killed",
    };
    super(`Cannot run "${command}": ${why[detail.failure]}${stderr && `: ${stderr}`}`, options);
    this.failure = detail.failure;
    this.code = detail.code;
    this.stderr = stderr;
    this.stdout = detail.stdout ?? "";
  }
}

/** {@linkcode Run} on this host. Throws {@linkcode ExecError}. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Output> {
  const shown = [command, ...args].join(" ");
  const deadline = AbortSignal.timeout(options.timeoutMs ?? 30_000);
  const signal = options.signal ? AbortSignal.any([deadline, options.signal]) : deadline;
  const child = spawn(shown, { command, args, signal });
  const ended = child.output(); // before the write: a child that fills its stdout pipe must be read
  await feed(child.stdin, options.stdin);
  const { code, signal: killedBy, stdout, stderr } = await ended;
  const text = { stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  if (deadline.aborted && killedBy !== null) {
    throw new ExecError(shown, { failure: "timeout", ...text });
  }
  if (killedBy !== null) throw new ExecError(shown, { failure: "signal", ...text });
  if (code !== 0) throw new ExecError(shown, { failure: "exit", code, ...text });
  return text;
}

const decoder = new TextDecoder();

function spawn(
  shown: string,
  { command, args, signal }: { command: string; args: readonly string[]; signal: AbortSignal },
): Deno.ChildProcess {
  try {
    return new Deno.Command(command, {
      args: [...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      signal,
    }).spawn();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new ExecError(shown, { failure: "not-found" }, { cause });
    }
    // Deno looks for the programs that may be started once, at its own start.
    if (cause instanceof Deno.errors.NotCapable) {
      throw new ExecError(shown, { failure: "not-allowed" }, { cause });
    }
    throw cause;
  }
}

async function feed(
  stdin: WritableStream<Uint8Array<ArrayBuffer>>,
  input: string | Uint8Array | undefined,
): Promise<void> {
  try {
    const writer = stdin.getWriter();
    if (input !== undefined) {
      await writer.write(
        typeof input === "string" ? new TextEncoder().encode(input) : Uint8Array.from(input),
      );
    }
    await writer.close();
  } catch (error) {
    // The child did not want all of its input; how it ended tells why.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
