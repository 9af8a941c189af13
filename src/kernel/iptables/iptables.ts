/**
 * The iptables tools of one family: `iptables`, `iptables-save`, `iptables-restore` or their ip6
 * counterparts, on nf_tables or legacy, whichever the node has under these names.
 *
 * @module
 */

import type { IpFamily } from "../../model/ip.ts";
import { ExecError, type Run, run as runHere } from "../exec/run.ts";
import { isLockBusy, LockBusyError, restoreFailure } from "./errors.ts";
import type { TableName, Tables } from "./ruleset.ts";
import { parseSave } from "./save.ts";
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

/**
 * Finds the tools and their version.
 *
 * Throws an Error that says what to install when they are missing.
 */
export async function openIptables(
  family: IpFamily,
  { run = runHere }: { run?: Run } = {},
): Promise<Iptables> {
  const tool = family === "IPv4" ? "iptables" : "ip6tables";
  const version = parseVersion((await runTool(run, tool)).stdout);
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

async function runTool(run: Run, tool: string): Promise<{ stdout: string }> {
  try {
    return await run(tool, ["--version"]);
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
