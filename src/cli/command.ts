/**
 * What kind of command a command line is: decides what the process keeps being able to do.
 *
 * @module
 */

import { ConfigError } from "../config/problem.ts";
import type { Command } from "../kernel/runtime/abilities.ts";
import { parseArguments } from "./arguments.ts";

/** The kind of the command; of one with mistakes, which ends with a message, "tell". */
export function commandOf(args: readonly string[]): Command {
  const [first] = args;
  if (first === "install" || first === "uninstall") return "install";
  try {
    const { help, version, writeConfigTo } = parseArguments(args).own;
    if (help || version === "true" || version === "raw") return "tell";
    return writeConfigTo === "" ? "proxy" : "write-config";
  } catch (error) {
    if (error instanceof ConfigError) return "tell";
    throw error;
  }
}
