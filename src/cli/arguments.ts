/**
 * Arguments of the command line -> settings and flags of their own, driven by the table of flags.
 * Hyphens and underscores are the same in names (CLI-03); there are no positional arguments
 * (CLI-01).
 *
 * @module
 */

import { parseArgs } from "node:util";
import type { Settings } from "../config/fields.ts";
import { FLAG_READERS, isRecord } from "../config/kinds.ts";
import { ConfigError, type ConfigProblem } from "../config/problem.ts";
import { type Flag, FLAGS, type OwnFlags } from "./flags.ts";

/** A command line that was read. */
export interface Arguments {
  /** Fields that were given, in kube-proxy's sense: `--x=""` counts as given. */
  readonly settings: Settings;
  /** Those of {@linkcode Arguments.settings} that win over a configuration file. */
  readonly beatsFile: Settings;
  readonly own: OwnFlags;
}

interface Given {
  readonly flag: Flag;
  readonly text: string;
}

const NOTHING: OwnFlags = {
  config: "",
  manifests: "",
  master: "",
  writeConfigTo: "",
  cleanup: false,
  initOnly: false,
  version: "",
  help: false,
  healthzPort: undefined,
  metricsPort: undefined,
  unused: undefined,
};

const OPTIONS = Object.fromEntries(FLAGS.map(({ name, bare, short }) => [name, {
  type: bare === undefined ? "string" as const : "boolean" as const,
  ...(short !== undefined && { short }),
}]));

/**
 * Reads the arguments of the process.
 *
 * @throws {ConfigError} with unknown flags, bad values and positional arguments.
 */
export function parseArguments(args: readonly string[]): Arguments {
  const { given, problems } = collect(args);
  const into: Assigned = { settings: {}, beatsFile: {}, own: { ...NOTHING } };
  for (const { flag, text } of given) {
    try {
      assign(into, { flag, value: FLAG_READERS[flag.kind](text) });
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      problems.push({ path: `--${flag.name}`, value: text, reason: error.message });
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return into as unknown as Arguments;
}

interface Assigned {
  readonly settings: Record<string, unknown>;
  readonly beatsFile: Record<string, unknown>;
  readonly own: Record<string, unknown>;
}

function assign(into: Assigned, { flag, value }: { flag: Flag; value: unknown }): void {
  if ("own" in flag.sets) {
    into.own[flag.sets.own] = value;
    return;
  }
  const { field } = flag.sets;
  into.settings[field] = merge(into.settings[field], value);
  if (flag.beatsFile) into.beatsFile[field] = into.settings[field];
}

function collect(args: readonly string[]): { given: readonly Given[]; problems: ConfigProblem[] } {
  const { tokens } = parseArgs({
    args: args.map(hyphenate),
    options: OPTIONS,
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const given: Given[] = [];
  const problems: ConfigProblem[] = [];
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const flag = FLAGS.find(({ name }) => name === token.name);
    // `-v=2`: the equals sign belongs to no value.
    const isShort = !token.rawName.startsWith("--");
    const text = isShort ? token.value?.replace(/^=/, "") : token.value;
    if (flag === undefined) problems.push({ path: token.rawName, reason: "unknown flag" });
    else if (text !== undefined) given.push({ flag, text });
    else if (flag.bare !== undefined) given.push({ flag, text: flag.bare });
    else problems.push({ path: token.rawName, reason: "flag needs an argument" });
  }
  if (positionals.length > 0) {
    problems.push({ path: "vipd", value: positionals, reason: "takes no arguments, only flags" });
  }
  return { given, problems };
}

/** `--proxy_mode=x_y` -> `--proxy-mode=x_y`. */
function hyphenate(arg: string): string {
  if (!arg.startsWith("--")) return arg;
  const [name = "", ...rest] = arg.split("=");
  return [name.replaceAll("_", "-"), ...rest].join("=");
}

/** Lists and maps add up when a flag is given again; of other values the last one counts. */
function merge(before: unknown, value: unknown): unknown {
  if (Array.isArray(before) && Array.isArray(value)) return [...before, ...value];
  if (isRecord(before) && isRecord(value)) return { ...before, ...value };
  return value;
}
