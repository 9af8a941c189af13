/**
 * vipd as a user runs it: its own process, a config file, a log.
 *
 * `VIPD` in the environment names the executable to test; without it the source is run with the
 * permissions a release has.
 *
 * @module
 */

import { VIPD_PERMISSIONS } from "../../scripts/vipd_permissions.ts";
import { ended, type Result } from "./process.ts";
import type { Network } from "./netns.ts";

/** Where and how a vipd is started. */
export interface VipdOptions {
  readonly network: Network;
  /** Short name of the namespace that is its node. */
  readonly namespace: string;
  /** Holds config and log; exists. */
  readonly directory: string;
  /** A KubeProxyConfiguration as an object. */
  readonly config: object;
  /** Further arguments, e.g. `-v=4`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const ROOT = new URL("../../", import.meta.url).pathname;

/** `deno run` asks for a newer Deno otherwise: a flow to a name server that vipd did not make. */
const QUIET = { DENO_NO_UPDATE_CHECK: "1" };

/** The command line in front of vipd's own arguments. */
export function vipdCommand(): string[] {
  const executable = Deno.env.get("VIPD");
  if (executable !== undefined && executable !== "") {
    return [executable.startsWith("/") ? executable : `${ROOT}${executable}`];
  }
  const options = ["--no-check", "--cached-only", ...VIPD_PERMISSIONS];
  return [Deno.execPath(), "run", ...options, `${ROOT}src/main.ts`];
}

/** A running vipd. Disposing kills it. */
export class Vipd implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  #status: Deno.CommandStatus | undefined;

  private constructor(child: Deno.ChildProcess, readonly logFile: string) {
    this.#child = child;
    void this.#note(child);
  }

  async #note(child: Deno.ChildProcess): Promise<void> {
    this.#status = await child.status;
  }

  /** Starts it; it is not ready yet. The log goes on where an earlier one ended. */
  static async start(options: VipdOptions): Promise<Vipd> {
    const configFile = await writeConfig(options);
    const logFile = `${options.directory}/vipd.log`;
    const child = options.network.spawn(options.namespace, [
      ...["sh", "-c", 'exec "$@" >>"$0" 2>&1', logFile],
      ...vipdCommand(),
      ...["--config", configFile, ...options.args ?? []],
    ], { stdin: "null", env: { ...QUIET, ...options.env } });
    return new Vipd(child, logFile);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Undefined while it runs. */
  get status(): Deno.CommandStatus | undefined {
    return this.#status;
  }

  /** Sends a signal and waits for the end. Fine when it has ended already. */
  async end(signal: "SIGTERM" | "SIGINT" | "SIGKILL"): Promise<Deno.CommandStatus> {
    if (this.#status === undefined) {
      try {
        this.#child.kill(signal);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // it ended just now
      }
    }
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 20_000);
    try {
      return await this.#child.status;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The last lines of its log. */
  async logTail(lines: number): Promise<string> {
    const text = await Deno.readTextFile(this.logFile);
    return text.split("\n").slice(-lines).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }
}

/** Runs `vipd --config FILE ARGS` to its end, e.g. with `--cleanup`. */
export async function runVipd(options: VipdOptions): Promise<Result> {
  const configFile = await writeConfig(options);
  const { network, namespace, args = [], env } = options;
  const prefix = ["ip", "netns", "exec", network.name(namespace)];
  return await ended([...prefix, ...vipdCommand(), "--config", configFile, ...args], {
    env: { ...QUIET, ...env },
    timeoutMs: 120_000,
  });
}

async function writeConfig({ config, directory }: VipdOptions): Promise<string> {
  const file = `${directory}/config.yaml`; // JSON is YAML
  const kind = {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
  };
  await Deno.writeTextFile(file, JSON.stringify({ ...kind, ...config }, undefined, 1));
  return file;
}

/** One GET without a pool; undefined when nobody answers. */
export async function getOnce(
  url: string,
  timeoutMs = 3_000,
): Promise<
  { readonly status: number; readonly headers: Headers; readonly body: string } | undefined
> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  try {
    const response = await fetch(url, { client, signal: AbortSignal.timeout(timeoutMs) });
    return { status: response.status, headers: response.headers, body: await response.text() };
  } catch (error) {
    if (error instanceof TypeError || isTimeout(error)) return undefined;
    throw error;
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}

/** Asks until the answer is not undefined. Throws with `what` after the time limit. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  { timeoutMs = 15_000, everyMs = 50 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`Timed out (${timeoutMs} ms): ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
