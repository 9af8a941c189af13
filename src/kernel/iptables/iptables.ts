/**
 * The iptables tools of one family: `iptables`, `iptables-save`, `iptables-restore` or their ip6
 * counterparts, on nf_tables or legacy, whichever the node has under these names. Where it has
 * only `iptables-nft` and `iptables-legacy`, the one that the node uses.
 *
 * @module
 */

import type { Logger } from "../../log.ts";
import type { IpFamily } from "../../model/ip.ts";
import { ExecError, type Run, run as runHere } from "../exec/run.ts";
import { isLockBusy, LockBusyError, restoreFailure } from "./errors.ts";
import { findVariant } from "./find_variant.ts";
import type { TableName, Tables } from "./ruleset.ts";
import { parseSave } from "./save.ts";
import type { ToolVariant } from "./variant.ts";
import { atLeast, type IptablesVersion, parseVersion } from "./version.ts";

/** How vipd reads and writes the rules of one family. */
export interface Iptables {
  readonly family: IpFamily;
  readonly version: IptablesVersion;
  /**
   * Reads one table, or all of them. A table that nobody has used may be missing.
   * Throws an ExecError.
   */
  save(table?: TableName): Promise<Tables>;
  /**
   * Writes; chains that the text does not name stay as they are. Throws a RestoreError, a
   * LockBusyError, or an ExecError when the tool is missing or hangs.
   */
  restore(text: string): Promise<void>;
}

/** Seconds to wait for the xtables lock; the nf_tables variant has no lock and ignores it. */
const LOCK_WAIT_SECONDS = 5;

/** What opening may be given. */
export interface OpenIptablesOptions {
  /** Default: child processes of this host. */
  readonly run?: Run;
  /** Told which kind of tools was chosen, once, where there is a choice. */
  readonly log?: Logger;
}

/**
 * Finds the tools and their version.
 *
 * Throws an Error that says what to install when they are missing.
 */
export async function openIptables(
  family: IpFamily,
  { run = runHere, log }: OpenIptablesOptions = {},
): Promise<Iptables> {
  const { tool, version } = await findTool(family, { run, log });
  const wait = atLeast(version, [1, 6, 2]) ? ["-w", String(LOCK_WAIT_SECONDS)] : [];
  return {
    family,
    version,
    async save(table) {
      const args = table === undefined ? [] : ["-t", table];
      return parseSave((await run(`${tool}-save`, args)).stdout);
    },
    async restore(text) {
      const args = [...wait, "--noflush", "--counters"];
      try {
        await run(`${tool}-restore`, args, { stdin: text });
      } catch (error) {
        throw restoreFailure(error, text);
      }
    },
  };
}

/** Whether the tools are not there at all. */
export function isMissingTool(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof ExecError &&
    error.cause.failure === "not-found";
}

interface Tool {
  /** The start of the names, e.g. `ip6tables` or `ip6tables-nft`. */
  readonly tool: string;
  readonly version: IptablesVersion;
}

async function findTool(
  family: IpFamily,
  { run, log }: { run: Run; log: Logger | undefined },
): Promise<Tool> {
  const tool = family === "IPv4" ? "iptables" : "ip6tables";
  try {
    return await askTool(tool, run);
  } catch (error) {
    if (!isMissingTool(error)) throw error;
    const variant = await chosenVariant(run, log);
    if (variant === undefined) throw error;
    return await askTool(`${tool}-${variant}`, run);
  }
}

/** Both families, all modes and all their lives use the same: rules in both kinds are chaos. */
const CHOSEN = new WeakMap<Run, Promise<ToolVariant | undefined>>();

async function chosenVariant(
  run: Run,
  log: Logger | undefined,
): Promise<ToolVariant | undefined> {
  const choosing = CHOSEN.get(run) ?? chooseVariantHere(run, log);
  CHOSEN.set(run, choosing);
  try {
    const variant = await choosing;
    if (variant === undefined) CHOSEN.delete(run);
    return variant;
  } catch (error) {
    CHOSEN.delete(run);
    throw error;
  }
}

async function chooseVariantHere(
  run: Run,
  log: Logger | undefined,
): Promise<ToolVariant | undefined> {
  const found = await findVariant(run);
  if (found === undefined) return undefined;
  const { choice: { variant, reason }, findings } = found;
  const rules = { nft: findings.nft?.rules, legacy: findings.legacy?.rules };
  log?.info("Chose the variant of iptables", { variant, reason, rules });
  return variant;
}

async function askTool(tool: string, run: Run): Promise<Tool> {
  try {
    return { tool, version: parseVersion((await run(tool, ["--version"])).stdout) };
  } catch (error) {
    if (!(error instanceof ExecError)) throw error;
    if (isLockBusy(error)) throw new LockBusyError(error.command, { cause: error });
    if (error.failure !== "not-found") throw error;
    throw new Error(
      `Cannot use iptables mode: "${tool}" is not installed or not in PATH ` +
        `(on Debian and Ubuntu: apt-get install iptables)`,
      { cause: error },
    );
  }
}
