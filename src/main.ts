/**
 * The executable: gives the command the machine, the clock and the signals.
 *
 * SIGTERM and SIGINT end it cleanly and leave all rules in place. SIGHUP changes nothing yet.
 * SIGUSR1 is ignored by the kernel: Deno would open its inspector.
 *
 * @module
 */

import { commandOf } from "./cli/command.ts";
import { runCommand, type Surroundings } from "./cli/run.ts";
import { listHostAddresses } from "./kernel/addresses/addresses.ts";
import type { Conntrack } from "./kernel/conntrack/conntrack.ts";
import { run } from "./kernel/exec/run.ts";
import { FILES } from "./kernel/files/files.ts";
import { ignoreSignal, SIGUSR1 } from "./kernel/libc/signals.ts";
import { HOST } from "./kernel/procfs/host.ts";
import { giveUpAbilities } from "./kernel/runtime/abilities.ts";
import { giveBackMemory } from "./kernel/runtime/memory.ts";
import {
  openServiceManager,
  readNotifyEnvironment,
  type ServiceManager,
} from "./kernel/systemd/notify.ts";
import { openLog } from "./log_sink.ts";
import { SYSTEM_CLOCK } from "./proxy/system_clock.ts";
import { listen } from "./server/listen.ts";

/** The variables that say where the API server of a pod is. */
const VARIABLES = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"];

/** Deno listens for SIGUSR1 some time after the start, later on a busy machine. */
const IGNORE_EVERY_MS = 20;
const IGNORE_FOR_MS = 10_000;

/** When the first sync is over, and then once an hour: the hourly verification makes garbage too. */
const GIVE_BACK_AFTER_MS = 5_000;
const GIVE_BACK_EVERY_MS = 60 * 60_000;

/** Runs vipd to its end. Returns the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  const command = commandOf(args);
  giveUpAbilities(command);
  if (command === "proxy") return await proxy(args);
  if (command === "install") return await install(args);
  const signal = new AbortController().signal;
  return await runCommand(args, surroundings({ onReady: () => {}, signal }));
}

/** A terminal that is hung up in the middle must not leave the node between two proxies. */
async function install(args: readonly string[]): Promise<number> {
  const { runInstall } = await import("./cli/install.ts");
  const controller = new AbortController();
  const end = () => controller.abort(new Error("interrupted"));
  Deno.addSignalListener("SIGINT", end);
  Deno.addSignalListener("SIGTERM", end);
  Deno.addSignalListener("SIGHUP", () => {});
  return await runInstall(args, {
    executable: Deno.execPath(),
    files: FILES,
    run,
    clock: SYSTEM_CLOCK,
    print: (text) => tell(text),
    signal: controller.signal,
  });
}

function tell(text: string): void {
  try {
    writeAll(Deno.stdout, text);
  } catch (error) {
    if (!(error instanceof Error)) throw error; // nobody listens any more
  }
}

async function proxy(args: readonly string[]): Promise<number> {
  const manager = openServiceManager(readNotifyEnvironment());
  const controller = new AbortController();
  const end = () => {
    if (!controller.signal.aborted) manager.notify("STOPPING=1");
    controller.abort();
  };
  const stay = () => {};
  Deno.addSignalListener("SIGTERM", end);
  Deno.addSignalListener("SIGINT", end);
  Deno.addSignalListener("SIGHUP", stay);
  ignoreSignal(SIGUSR1);
  const ignoreAgain = setInterval(() => ignoreSignal(SIGUSR1), IGNORE_EVERY_MS);
  const ignoredLongEnough = setTimeout(() => clearInterval(ignoreAgain), IGNORE_FOR_MS);
  const watchdog = startWatchdog(manager);
  const giveBack = setInterval(giveBackMemory, GIVE_BACK_EVERY_MS);
  const onReady = () => {
    manager.notify("READY=1", "STATUS=Every family is in sync");
    const timer = setTimeout(giveBackMemory, GIVE_BACK_AFTER_MS);
    controller.signal.addEventListener("abort", () => clearTimeout(timer));
  };
  try {
    return await runCommand(args, surroundings({ onReady, signal: controller.signal }));
  } finally {
    controller.abort();
    clearInterval(watchdog);
    clearInterval(giveBack);
    clearInterval(ignoreAgain);
    clearTimeout(ignoredLongEnough);
    Deno.removeSignalListener("SIGTERM", end);
    Deno.removeSignalListener("SIGINT", end);
    Deno.removeSignalListener("SIGHUP", stay);
  }
}

function surroundings(own: Pick<Surroundings, "onReady" | "signal">): Surroundings {
  let conntrack: Promise<Conntrack> | undefined;
  return {
    ...own,
    host: HOST,
    listHostAddresses,
    listen,
    // Loaded at the first need: not every node has libnl.
    openConntrack: () => conntrack ??= openConntrack(),
    environment: Object.fromEntries(VARIABLES.map((name) => [name, Deno.env.get(name)])),
    clock: SYSTEM_CLOCK,
    hostname: () => Deno.hostname(),
    readTextFile: (path) => Deno.readTextFile(path),
    openLog,
    print: (text) => writeAll(Deno.stdout, text),
    printError: (text) => writeAll(Deno.stderr, text),
  };
}

async function openConntrack(): Promise<Conntrack> {
  const { openConntrack } = await import("./kernel/conntrack/conntrack.ts");
  return openConntrack();
}

/** A loop that no longer turns says nothing, and systemd starts us again. */
function startWatchdog(manager: ServiceManager): ReturnType<typeof setInterval> | undefined {
  const { watchdogMicroseconds } = manager;
  if (watchdogMicroseconds === undefined) return undefined;
  return setInterval(() => manager.notify("WATCHDOG=1"), watchdogMicroseconds / 1000 / 3);
}

function writeAll(stream: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let sent = 0; sent < bytes.length;) sent += stream.writeSync(bytes.subarray(sent));
}

if (import.meta.main) Deno.exit(await main(Deno.args));
