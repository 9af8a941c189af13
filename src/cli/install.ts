/**
 * `vipd install [--check]` and `vipd uninstall`: vipd as a systemd service of this host, in place
 * of a kube-proxy service when there is one.
 *
 * @module
 */

import type { Run } from "../kernel/exec/run.ts";
import type { Files } from "../kernel/files/files.ts";
import {
  formatStep,
  type Found,
  type KubeProxyService,
  parseExecStart,
  PATHS,
  planInstall,
  planUninstall,
  type Step,
} from "./install_plan.ts";

/** The host as these commands see it. */
export interface InstallHost {
  /** Path of this executable. */
  readonly executable: string;
  readonly files: Files;
  readonly run: Run;
  readonly sleep: (ms: number) => Promise<void>;
  readonly print: (text: string) => void;
}

const READY_EVERY_MS = 250;
const READY_LIMIT_MS = 60_000;
/** `systemctl disable --now` waits until vipd has stopped. */
const SYSTEMCTL_LIMIT_MS = 120_000;

/** Runs `vipd install …` or `vipd uninstall …`; returns the exit status. */
export async function runInstall(
  [command, ...flags]: readonly string[],
  host: InstallHost,
): Promise<number> {
  const unknown = flags.find((flag) => flag !== "--check");
  if (unknown !== undefined) {
    host.print(`Error: unknown flag: ${unknown}\nUsage: vipd install|uninstall [--check]\n`);
    return 1;
  }
  try {
    const found = await look(host);
    const steps = command === "install" ? planInstall(found) : planUninstall(found);
    if (flags.includes("--check")) return await check(steps, host);
    for (const step of steps) await perform(step, host);
    return command === "install" ? await waitUntilReady(host) : 0;
  } catch (error) {
    host.print(`Error: ${error instanceof Error ? error.message : error}\n`);
    return 1;
  }
}

async function look({ executable, files, run }: InstallHost): Promise<Found> {
  if (/\/deno$/.test(executable)) throw new Error("Only the executable can install itself");
  const { unit, packagedUnit, defaults, config, replaced } = PATHS;
  return {
    executable,
    files: {
      unit: files.read(unit),
      packagedUnit: files.read(packagedUnit),
      defaults: files.read(defaults),
      config: files.read(config),
      replaced: files.read(replaced),
    },
    kubeProxy: await lookForKubeProxy(run),
  };
}

async function lookForKubeProxy(run: Run): Promise<KubeProxyService | undefined> {
  const names = ["LoadState", "ActiveState", "UnitFileState", "ExecStart"];
  const { stdout } = await run("systemctl", [
    ...["show", "kube-proxy.service"],
    `--property=${names.join(",")}`,
  ]);
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(stdout)?.[1] ?? "";
  if (value("LoadState") !== "loaded") return undefined;
  return {
    isActive: value("ActiveState") === "active",
    isEnabled: value("UnitFileState") === "enabled",
    args: parseExecStart(value("ExecStart")),
  };
}

async function perform(step: Step, { files, run, print }: InstallHost): Promise<void> {
  print(`${formatStep(step)}\n`);
  switch (step.kind) {
    case "write":
      return files.write(step.path, step.text);
    case "copy":
      return files.copyProgram(step.from, step.to);
    case "remove":
      return files.remove(step.path);
    case "systemctl":
      await run("systemctl", step.args, { timeoutMs: SYSTEMCTL_LIMIT_MS });
  }
}

/** Says what an installation would change; 0 when vipd is there and ready. */
async function check(steps: readonly Step[], host: InstallHost): Promise<number> {
  for (const step of steps) host.print(`would ${formatStep(step)}\n`);
  const state = await activeState(host.run);
  host.print(`vipd.service is ${state}\n`);
  return state === "active" ? 0 : 1;
}

async function waitUntilReady(host: InstallHost): Promise<number> {
  let state = "";
  for (let waitedMs = 0; waitedMs < READY_LIMIT_MS; waitedMs += READY_EVERY_MS) {
    state = await activeState(host.run);
    if (state === "active") {
      host.print("vipd.service is active: every family is in sync\n");
      return 0;
    }
    await host.sleep(READY_EVERY_MS);
  }
  host.print(`vipd.service is ${state}, not active yet. See: journalctl --unit vipd\n`);
  return 1;
}

async function activeState(run: Run): Promise<string> {
  const { stdout } = await run("systemctl", ["show", "vipd.service", "--property=ActiveState"]);
  return stdout.trim().replace("ActiveState=", "");
}
