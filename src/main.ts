/**
 * The executable: gives the command the machine, the clock and the signals.
 *
 * SIGTERM and SIGINT end it cleanly and leave all rules in place. SIGHUP changes nothing yet.
 * SIGUSR1 is ignored by the kernel: Deno would open its inspector.
 *
 * @module
 */

import { runCommand, type Surroundings } from "./cli/run.ts";
import { listHostAddresses } from "./kernel/addresses/addresses.ts";
import type { Conntrack } from "./kernel/conntrack/conntrack.ts";
import { ignoreSignal, SIGUSR1 } from "./kernel/libc/signals.ts";
import { HOST } from "./kernel/procfs/host.ts";
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

/** Deno listens for SIGUSR1 a moment after the start. */
const IGNORE_AGAIN_MS = 1_000;

/** Runs vipd to its end. Returns the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  const controller = new AbortController();
  const end = () => controller.abort();
  const stay = () => {};
  Deno.addSignalListener("SIGTERM", end);
  Deno.addSignalListener("SIGINT", end);
  Deno.addSignalListener("SIGHUP", stay);
  ignoreSignal(SIGUSR1);
  const ignoreAgain = setTimeout(() => ignoreSignal(SIGUSR1), IGNORE_AGAIN_MS);
  const manager = openServiceManager(readNotifyEnvironment());
  const watchdog = startWatchdog(manager);
  try {
    return await runCommand(args, surroundings({ manager, signal: controller.signal }));
  } finally {
    manager.notify("STOPPING=1");
    clearInterval(watchdog);
    clearTimeout(ignoreAgain);
    Deno.removeSignalListener("SIGTERM", end);
    Deno.removeSignalListener("SIGINT", end);
    Deno.removeSignalListener("SIGHUP", stay);
  }
}

function surroundings(
  { manager, signal }: { manager: ServiceManager; signal: AbortSignal },
): Surroundings {
  let conntrack: Promise<Conntrack> | undefined;
  return {
    host: HOST,
    listHostAddresses,
    listen,
    // Loaded at the first need: not every node has libnl.
    openConntrack: () => conntrack ??= openConntrack(),
    environment: Object.fromEntries(VARIABLES.map((name) => [name, Deno.env.get(name)])),
    clock: SYSTEM_CLOCK,
    onReady: () => manager.notify("READY=1"),
    signal,
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
