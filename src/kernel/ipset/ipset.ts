/**
 * The tool ipset(8): read all sets in one process, write all differences in one.
 *
 * @module
 */

import { ExecError, type Run, run } from "../exec/run.ts";
import { GROWING } from "./restore.ts";
import { parseSave } from "./save.ts";
import type { ObservedSet } from "./values.ts";

/** The sets of the network namespace vipd runs in. */
export interface Ipset {
  /** Version of the tool, as in "7.17". */
  version(): Promise<string>;
  /** The sets whose name starts so, with their entries. */
  save(prefix: string): Promise<ReadonlyMap<string, ObservedSet>>;
  /**
   * Runs the lines. Adding what is there and removing what is not are fine. Throws an ExecError
   * with the number of the line the tool stopped at.
   */
  restore(lines: string): Promise<void>;
}

/** The tool of this host. Throws an Error that names the package when it is missing. */
export function ipsetTool(runTool: Run = run): Ipset {
  return {
    async version() {
      const { stdout } = await runIpset(runTool, { args: ["version"] });
      const version = /\bv(\d+(?:\.\d+)+)/.exec(stdout)?.[1];
      if (version === undefined) throw new SyntaxError(`Cannot parse ipset version ${stdout}`);
      return version;
    },
    async save(prefix) {
      const { stdout } = await runIpset(runTool, { args: ["save"] });
      return parseSave(stdout, (name) => name.startsWith(prefix));
    },
    async restore(lines) {
      if (lines === "") return;
      try {
        await runIpset(runTool, { args: ["restore", "-exist"], stdin: lines });
      } catch (error) {
        const growing = Object.values(GROWING).find((name) => lines.includes(`create ${name} `));
        if (growing === undefined || !isLeftover(error)) throw error;
        // A run that was killed while a set grew.
        await runIpset(runTool, { args: ["destroy", growing] });
        await runIpset(runTool, { args: ["restore", "-exist"], stdin: lines });
      }
    },
  };
}

async function runIpset(
  runTool: Run,
  { args, stdin }: { args: readonly string[]; stdin?: string },
): Promise<{ stdout: string }> {
  try {
    return await runTool("ipset", args, stdin === undefined ? {} : { stdin });
  } catch (cause) {
    if (!(cause instanceof ExecError) || cause.failure !== "not-found") throw cause;
    throw new Error("Cannot run ipset: install the Debian package ipset", { cause });
  }
}

function isLeftover(error: unknown): boolean {
  return error instanceof ExecError && error.stderr.includes("already exists");
}
