/**
 * The command: arguments in, exit status out (CLI-01 to CLI-16). Errors end here: those of the
 * command line as `Error: …`, all others as one log line.
 *
 * @module
 */

import { ConfigError } from "../config/problem.ts";
import type { KubeProxyConfiguration } from "../config/types.ts";
import type { Logger } from "../log.ts";
import { cleanupAll } from "../proxy/leftovers.ts";
import { type ProxyOptions, runProxy } from "../proxy/run.ts";
import { type Arguments, parseArguments } from "./arguments.ts";
import { configure, type Configured } from "./configure.ts";
import { helpText, versionText } from "./help.ts";
import { VIPD_COMMIT, VIPD_VERSION } from "./version.ts";

/** What the process gives the command. */
export interface Surroundings extends
  Pick<
    ProxyOptions,
    | "host"
    | "listHostAddresses"
    | "listen"
    | "openConntrack"
    | "environment"
    | "clock"
    | "onReady"
    | "signal"
  > {
  readonly hostname: () => string;
  readonly readTextFile: (path: string) => Promise<string>;
  readonly openLog: (options: KubeProxyConfiguration["logging"]) => Logger;
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
}

const DEFAULT_LOGGING = { format: "text", verbosity: 0 } as const;

/** Runs to the end. Returns the exit status: 0 or 1. */
export async function runCommand(
  args: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  let parsed: Arguments;
  try {
    parsed = parseArguments(args);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    surroundings.printError(`Error: ${error.message}\nTry "vipd --help".\n`);
    return 1;
  }
  const { help, version } = parsed.own;
  if (help) surroundings.print(helpText());
  else if (version === "true" || version === "raw") surroundings.print(versionText(version));
  else return await runConfigured(parsed, surroundings);
  return 0;
}

async function runConfigured(args: Arguments, surroundings: Surroundings): Promise<number> {
  let log: Logger | undefined;
  try {
    const configured = await readConfiguration(args, surroundings);
    log = surroundings.openLog(configured.config.logging);
    return await perform(args, { configured, log, surroundings });
  } catch (error) {
    log ??= surroundings.openLog(DEFAULT_LOGGING);
    log.error("command failed", { error });
    return 1;
  }
}

async function readConfiguration(
  args: Arguments,
  { readTextFile }: Surroundings,
): Promise<Configured> {
  const path = args.own.config;
  if (path === "") return configure(args, undefined);
  let text: string;
  try {
    text = await readTextFile(path);
  } catch (cause) {
    const reason = `cannot be read: ${cause instanceof Error ? cause.message : cause}`;
    throw new ConfigError([{ path: "--config", value: path, reason }], { cause });
  }
  return configure(args, text);
}

async function perform(
  { own }: Arguments,
  { configured: { config, warnings }, log, surroundings }: {
    configured: Configured;
    log: Logger;
    surroundings: Surroundings;
  },
): Promise<number> {
  if (warnings.length > 0) {
    log.warn("Configuration has fields that are not known or given twice, going on", {
      file: own.config,
      warnings,
    });
  }
  if (own.writeConfigTo !== "") {
    throw new ConfigError([{ path: "--write-config-to", reason: "is not built yet" }]);
  }
  if (own.cleanup) return await cleanUp(config, log);
  const nodeName = (config.hostnameOverride || surroundings.hostname()).trim().toLowerCase();
  log.info("Starting vipd", {
    version: VIPD_VERSION,
    commit: VIPD_COMMIT,
    mode: config.mode,
    node: nodeName,
    source: own.manifests || config.clientConnection.kubeconfig || own.master || "in-cluster",
  });
  const { manifests, master, initOnly: isInitOnly } = own;
  await runProxy({
    ...surroundings,
    hostname: surroundings.hostname(),
    commit: VIPD_COMMIT,
    config,
    log,
    nodeName,
    manifests,
    master,
    isInitOnly,
  });
  log.info(isInitOnly ? "Initialized, no rules written" : "Stopped, rules stay in place");
  return 0;
}

async function cleanUp(config: KubeProxyConfiguration, log: Logger): Promise<number> {
  if (await cleanupAll({ config, log })) return 0;
  log.error("command failed", { error: "encountered an error while tearing down rules" });
  return 1;
}
