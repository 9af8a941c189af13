/**
 * Child processes of tests: an ended one is a value, a hanging one is killed.
 *
 * @module
 */

/** How a command is run to its end. */
export interface RunSettings {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default 60,000; then the command is killed and the promise rejects. */
  readonly timeoutMs?: number;
}

/** How a command ended. */
export interface Result {
  /** Exit status; 128 + number of the signal when one ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a command: its name or path, then its arguments. */
export function spawn(
  command: readonly string[],
  settings: Deno.CommandOptions = {},
): Deno.ChildProcess {
  const [program, ...args] = command;
  if (program === undefined) throw new TypeError("Cannot spawn an empty command");
  return new Deno.Command(program, { ...settings, args }).spawn();
}

/** Runs a command to its end. */
export async function ended(
  command: readonly string[],
  settings: RunSettings = {},
): Promise<Result> {
  const timeoutMs = settings.timeoutMs ?? 60_000;
  const deadline = AbortSignal.timeout(timeoutMs);
  const child = spawn(command, {
    ...(settings.env && { env: { ...settings.env } }),
    ...(settings.cwd !== undefined && { cwd: settings.cwd }),
    stdin: settings.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    signal: deadline,
  });
  const output = child.output();
  if (settings.stdin !== undefined) await feed(child.stdin, settings.stdin);
  const { code, stdout, stderr } = await output;
  const decoder = new TextDecoder();
  const result = { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  if (!deadline.aborted) return result;
  throw new Error(`"${command.join(" ")}" took longer than ${timeoutMs} ms: ${result.stderr}`);
}

/** A command that ends before it has read all of its input says by its status what was wrong. */
async function feed(stdin: WritableStream<Uint8Array>, input: string): Promise<void> {
  try {
    const writer = stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
