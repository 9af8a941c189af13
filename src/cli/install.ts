/**
 * `vipd install [--check] [--timeout=60s]` and `vipd uninstall [--check]`: vipd as a systemd
 * service of this host, in place of a kube-proxy service when there is one. When vipd does not
 * become ready in its place, or kube-proxy does not stay up on the way back, all is as before.
 *
 * @module
 */

import { formatDuration, parseDuration } from "../config/duration.ts";
import { ExecError, type Run } from "../kernel/exec/run.ts";
import type { Files } from "../kernel/files/files.ts";
import type { Clock } from "../proxy/clock.ts";
import {
  type Action,
  flagsFor,
  formatAction,
  type Found,
  isTakeOver,
  KUBE_PROXY,
  PATHS,
  planInstall,
  planUndo,
  planUninstall,
  PROGRAM,
  type Step,
  VIPD,
} from "./install_plan.ts";
import { requireUsable } from "./take_over.ts";
import { hasEnded, parseUnitState, UNIT_PROPERTIES, type UnitState } from "./unit_state.ts";

/** The host as these commands see it. */
export interface InstallHost {
  /** Path of this executable. */
  readonly executable: string;
  readonly files: Files;
  readonly run: Run;
  readonly clock: Pick<Clock, "sleep" | "monotonicMs">;
  readonly print: (text: string) => void;
  /** Somebody wants the command to end: what it changed is taken back. */
  readonly signal: AbortSignal;
}

interface Options {
  readonly isCheck: boolean;
  readonly timeoutMs: number;
}

const LOOK_EVERY_MS = 500;
/** How long vipd may take for its first sync. */
const READY_LIMIT = "60s";
/** How long kube-proxy must run to be called up. */
const STAY_MS = 3_000;
/** `systemctl disable --now` waits until vipd has stopped. */
const SYSTEMCTL_LIMIT_MS = 120_000;

/** Runs `vipd install …` or `vipd uninstall …`; returns the exit status. */
export async function runInstall(
  [command, ...flags]: readonly string[],
  host: InstallHost,
): Promise<number> {
  try {
    const options = parseOptions(flags);
    const found = await look(host);
    return command === "install"
      ? await install(found, { host, options })
      : await uninstall(found, { host, options });
  } catch (error) {
    host.print(`Error: ${error instanceof Error ? error.message : error}\n`);
    return 1;
  }
}

function parseOptions(flags: readonly string[]): Options {
  let isCheck = false;
  let timeout = READY_LIMIT;
  for (const flag of flags) {
    const [, given] = /^--timeout=(.*)$/.exec(flag) ?? [];
    if (flag === "--check") isCheck = true;
    else if (given !== undefined) timeout = given;
    else {
      throw new TypeError(
        `unknown flag: ${flag}\nUsage: vipd install|uninstall [--check] [--timeout=${READY_LIMIT}]`,
      );
    }
  }
  return { isCheck, timeoutMs: parseDuration(timeout) };
}

async function look({ executable, files, run }: InstallHost): Promise<Found> {
  if (/\/deno$/.test(executable)) throw new Error("Only the executable can install itself");
  const { unit, packagedUnit, defaults, config, replaced } = PATHS;
  const kubeProxy = await unitState(run, KUBE_PROXY);
  const file = kubeProxy.file === "" ? undefined : files.realPath(kubeProxy.file);
  return {
    executable,
    hasProgram: files.realPath(PROGRAM) !== undefined,
    files: {
      unit: files.read(unit),
      packagedUnit: files.read(packagedUnit),
      defaults: files.read(defaults),
      config: files.read(config),
      replaced: files.read(replaced),
    },
    kubeProxy,
    kubeProxyLink: isElsewhere(kubeProxy.file, file) ? file : undefined,
    vipd: await unitState(run, VIPD),
  };
}

/** /lib may be a link as a whole; a unit in /etc is one by `systemctl link`. */
function isElsewhere(file: string, real: string | undefined): boolean {
  return file.startsWith("/etc/") && real !== undefined && real !== file;
}

async function unitState(run: Run, unit: string): Promise<UnitState> {
  const properties = `--property=${UNIT_PROPERTIES.join(",")}`;
  return parseUnitState((await run("systemctl", ["show", unit, properties])).stdout);
}

interface Work {
  readonly host: InstallHost;
  readonly options: Options;
}

async function install(found: Found, { host, options }: Work): Promise<number> {
  const steps = planInstall(found);
  const args = flagsFor(found);
  if (isTakeOver(found) && args !== undefined) {
    requireUsable(args, (path) => host.files.read(path));
  }
  if (options.isCheck) return check(steps, { host, found });
  return await carryOut(steps, {
    host,
    confirm: () => waitUntilReady(found, { host, options }),
  });
}

async function uninstall(found: Found, { host, options }: Work): Promise<number> {
  const { giveBack, removal, note } = planUninstall(found);
  if (note !== undefined) host.print(`${note}\n`);
  if (options.isCheck) return check([...giveBack, ...removal], { host, found });
  if (removal.length === 0) host.print(`${VIPD} is not installed, there is nothing to do\n`);
  if (giveBack.length > 0) {
    await carryOut(giveBack, { host, confirm: () => waitUntilItStays(host) });
  }
  return await carryOut(removal, { host, confirm: () => Promise.resolve(0) });
}

/** Says what would change; 0 when vipd is there and ready. */
function check(
  steps: readonly Step[],
  { host, found }: { host: InstallHost; found: Found },
): number {
  for (const { action } of steps) host.print(`would ${formatAction(action)}\n`);
  const state = found.vipd.active;
  host.print(`${VIPD} is ${state}\n`);
  return state === "active" ? 0 : 1;
}

/** Does the steps, or takes back what was done and throws. Returns what `confirm` returns. */
async function carryOut(
  steps: readonly Step[],
  { host, confirm }: { host: InstallHost; confirm: () => Promise<number> },
): Promise<number> {
  const done: Step[] = [];
  try {
    for (const step of steps) {
      host.signal.throwIfAborted();
      // A file is written or not; systemctl may fail half-way.
      if (step.action.kind === "systemctl") done.push(step);
      host.print(`${formatAction(step.action)}\n`);
      await perform(step.action, host);
      if (step.action.kind !== "systemctl") done.push(step);
    }
    return await confirm();
  } catch (error) {
    await takeBack(planUndo(done), host);
    throw error;
  }
}

async function takeBack(actions: readonly Action[], host: InstallHost): Promise<void> {
  for (const action of actions) {
    host.print(`back: ${formatAction(action)}\n`);
    try {
      await perform(action, host);
    } catch (error) {
      host.print(`Error: ${error instanceof Error ? error.message : error}\n`);
    }
  }
}

async function perform(action: Action, { files, run }: InstallHost): Promise<void> {
  switch (action.kind) {
    case "write":
      return files.write(action.path, action.text);
    case "copy":
      return files.copyProgram(action.from, action.to);
    case "remove":
      return files.remove(action.path);
    case "systemctl":
      await run("systemctl", action.args, { timeoutMs: SYSTEMCTL_LIMIT_MS });
  }
}

async function waitUntilReady(found: Found, { host, options }: Work): Promise<number> {
  let why = `${VIPD} is not ready after ${formatDuration(options.timeoutMs)}`;
  let first: string | undefined; // of the runs since it was started here
  const endMs = host.clock.monotonicMs() + options.timeoutMs;
  while (host.clock.monotonicMs() < endMs) {
    host.signal.throwIfAborted();
    const state = await unitState(host.run, VIPD);
    if (state.invocation !== found.vipd.invocation) {
      first ??= state.invocation;
      if (state.active === "active") {
        host.print(`${VIPD} is active: every family is in sync\n`);
        return 0;
      }
      if (hasEnded(state) || state.invocation !== first) {
        why = `${VIPD} ended`;
        break;
      }
    }
    await host.clock.sleep(LOOK_EVERY_MS);
  }
  host.print(await statusText(host.run, VIPD));
  if (isTakeOver(found)) throw new Error(`${why}. ${KUBE_PROXY} goes on in its place`);
  host.print(`${why}; systemd goes on trying. See: journalctl --unit vipd\n`);
  return 1;
}

async function waitUntilItStays(host: InstallHost): Promise<number> {
  let first: string | undefined;
  const endMs = host.clock.monotonicMs() + STAY_MS;
  while (host.clock.monotonicMs() < endMs) {
    host.signal.throwIfAborted();
    const state = await unitState(host.run, KUBE_PROXY);
    first ??= state.invocation;
    // A count of restarts may be from before; another run is another run.
    if (hasEnded(state) || state.invocation !== first) {
      host.print(await statusText(host.run, KUBE_PROXY));
      throw new Error(`${KUBE_PROXY} does not stay up, so vipd goes on`);
    }
    await host.clock.sleep(LOOK_EVERY_MS);
  }
  return 0;
}

/** The state of a unit and the last lines of its log, as systemctl shows them. */
async function statusText(run: Run, unit: string): Promise<string> {
  try {
    return (await run("systemctl", ["status", unit, "--no-pager", "--full"])).stdout;
  } catch (error) {
    // The status of one that does not run is 3.
    if (error instanceof ExecError) return error.stdout;
    throw error;
  }
}
