/**
 * A second Linux kernel for what the host's lacks (IPVS, dummy devices, old kernels' conntrack):
 * user-mode-linux on the host's own file tree.
 *
 * One boot costs about 2 s and every process in it 20 to 100 ms, so put many cases in one script.
 * Files below the current directory and `/tmp` are the host's: results can be left there.
 * `/run`, `/lib/modules`, `/dev/shm` are private. Needs the Debian packages user-mode-linux, kmod.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { ended } from "../support/process.ts";

/** What to run inside. */
export interface UmlOptions {
  /** Text for bash; runs as root with `lo` up, in the current directory of the caller. */
  readonly script: string;
  /** Then the kernel is killed and `code` is 124. Default 300,000. */
  readonly timeoutMs?: number;
  /** Size of its memory, e.g. `1G` (default). */
  readonly memory?: string;
  /** Environment for the script, added to PATH, HOME and the variables that name vipd's parts. */
  readonly env?: Readonly<Record<string, string>>;
  /** Gets every line as it is printed. */
  readonly onLine?: (line: string) => void;
}

/** How the script ended. */
export interface UmlResult {
  /** Exit status of the script; 124 after the time limit, 125 when the kernel died. */
  readonly code: number;
  /** What was printed: stdout, stderr, and messages of the kernel. */
  readonly output: string;
}

const JOB_PREFIX = "vipd-uml-";
const PASSED_ON = ["PATH", "HOME", "VIPD", "LANG"];
const TIMED_OUT = 124;
const DIED = 125;

/** Boots, runs the script, and switches off. Rejects when user-mode-linux is not installed. */
export async function bootUml(options: UmlOptions): Promise<UmlResult> {
  if ((await ended(["sh", "-c", "command -v linux.uml setpriv modprobe"])).code !== 0) {
    throw new Error("No user-mode-linux: apt-get install user-mode-linux kmod util-linux");
  }
  await removeLeftovers();
  const job = await Deno.makeTempDir({ dir: "/tmp", prefix: `${JOB_PREFIX}${Deno.pid}-` });
  try {
    await prepare(job, options);
    return await runKernel(job, options);
  } finally {
    await Deno.remove(job, { recursive: true });
  }
}

async function prepare(job: string, { script, env = {} }: UmlOptions): Promise<void> {
  const passedOn = PASSED_ON.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const variables = [...passedOn, ["JOB_CWD", Deno.cwd()] as const, ...Object.entries(env)];
  await Deno.writeTextFile(join(job, "script.sh"), script);
  await Deno.writeTextFile(
    join(job, "env.sh"),
    variables.map(([name, value]) => `export ${name}=${quoted(value)}\n`).join(""),
  );
  // A mount point that a machine without kernel packages lacks; it stays, empty.
  await Deno.mkdir("/lib/modules", { recursive: true });
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

async function runKernel(job: string, options: UmlOptions): Promise<UmlResult> {
  const child = start(job, options.memory ?? "1G");
  const kill = (): void => killGroup(child.pid);
  let hasTimedOut = false;
  const timer = setTimeout(() => {
    hasTimedOut = true;
    kill();
  }, options.timeoutMs ?? 300_000);
  globalThis.addEventListener("unload", kill);
  try {
    const output = await collect(child.stdout, options.onLine ?? (() => {}));
    await child.status;
    return { code: hasTimedOut ? TIMED_OUT : await exitCode(job), output };
  } finally {
    clearTimeout(timer);
    globalThis.removeEventListener("unload", kill);
    kill(); // what is left of its processes
  }
}

/**
 * A run that was killed leaves helper processes of its kernel, and its directory. Several kernels
 * that boot at once find the same leftovers: whoever comes second has nothing to do.
 */
async function removeLeftovers(): Promise<void> {
  for await (const { name } of Deno.readDir("/tmp")) {
    const pid = name.startsWith(JOB_PREFIX) ? name.slice(JOB_PREFIX.length).split("-")[0] : "";
    if (pid === undefined || pid === "" || isThere(`/proc/${pid}`)) continue;
    for await (const { name: other } of Deno.readDir("/proc")) {
      if (/^\d+$/.test(other) && commandLine(other).includes(`uml_dir=/tmp/${name}`)) {
        await unlessGone(() => Deno.kill(Number(other), "SIGKILL"));
      }
    }
    await unlessGone(() => Deno.remove(join("/tmp", name), { recursive: true }));
  }
}

async function unlessGone(action: () => void | Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Empty for a process that has ended meanwhile. */
function commandLine(pid: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || !isThere(`/proc/${pid}`)) return "";
    throw error;
  }
}

function start(job: string, memory: string): Deno.ChildProcess {
  const init = join(dirname(new URL(import.meta.url).pathname), "init.sh");
  const args = [
    `mem=${memory}`,
    ...["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw"],
    `init=${init}`,
    ...["con=null", "con0=null,fd:1", "ssl=null", "loglevel=0", "panic=-1"],
    `uml_dir=${job}`,
    `JOB=${job}`, // names the kernel does not know become the environment of init
    `HOST_DENO_DIR=${hostDenoDir()}`,
  ];
  return new Deno.Command("setpriv", {
    args: ["--pdeathsig", "KILL", "linux.uml", ...args], // also when this process is killed
    env: { TMPDIR: job },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
    detached: true, // its own process group: it is many processes
  }).spawn();
}

function hostDenoDir(): string {
  return Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME") ?? "/root"}/.cache/deno`;
}

function killGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function collect(
  stdout: ReadableStream<Uint8Array<ArrayBuffer>>,
  onLine: (line: string) => void,
): Promise<string> {
  let output = "";
  let rest = "";
  for await (const text of stdout.pipeThrough(new TextDecoderStream())) {
    const clean = text.replaceAll("\r", ""); // the console is a terminal
    output += clean;
    const lines = (rest + clean).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(onLine);
  }
  if (rest !== "") onLine(rest);
  return output;
}

async function exitCode(job: string): Promise<number> {
  try {
    return Number(await Deno.readTextFile(join(job, "code")));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return DIED;
    throw error;
  }
}
