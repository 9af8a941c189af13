/**
 * `deno task build [--machine x64|arm64] [--output FILE] [--commit HASH]`: vipd as one executable.
 *
 * By `deno compile` where its base is at hand ($DENORT_BIN, or a download), else from the runtime
 * of the npm package. Two builds of one commit are the same bytes. What the parts are is in
 * executable.ts.
 *
 * @module
 */

import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { EXECUTABLE_PERMISSIONS } from "../vipd_permissions.ts";
import { readBootstrap } from "./bootstrap.ts";
import { type Bundle, bundle } from "./bundle.ts";
import { canCompile, compile } from "./compile.ts";
import { makeExecutable } from "./executable.ts";
import type { Machine } from "./launcher.ts";
import { readRuntime } from "./runtime.ts";
import { readOrigin, stampBundle, stampOf } from "./stamp.ts";
import { V8_FLAGS } from "./v8_flags.ts";

const ENTRY = "src/main.ts";
const MACHINES: readonly Machine[] = ["x64", "arm64"];

/** What to build. */
export interface BuildOptions {
  readonly machine: Machine;
  /** The file to write, e.g. `dist/vipd`. */
  readonly output: string;
  /** Forty characters for the version; undefined: ask git. */
  readonly stamp?: string | undefined;
}

/** What was built. */
export interface Built {
  readonly way: "deno compile" | "launcher";
  /** Bytes of the executable. */
  readonly size: number;
  /** Bytes of the program in it. */
  readonly programSize: number;
}

/** Builds in the checkout that is the working directory. */
export async function build({ machine, output, stamp }: BuildOptions): Promise<Built> {
  const program = stampBundle(await bundle(ENTRY), stamp ?? stampOf(await readOrigin()));
  await Deno.mkdir(dirname(output), { recursive: true });
  const way = await canCompile(machine) ? "deno compile" : "launcher";
  if (way === "launcher") await writeLaunched(program, { machine, output });
  else {
    const permissions = EXECUTABLE_PERMISSIONS;
    await compile({ machine, program, permissions, v8Flags: V8_FLAGS, output });
  }
  const { size } = await Deno.stat(output);
  return { way, size, programSize: program.code.length };
}

async function writeLaunched(
  program: Bundle,
  { machine, output }: Pick<BuildOptions, "machine" | "output">,
): Promise<void> {
  const executable = makeExecutable({
    runtime: await readRuntime(machine),
    program,
    bootstrap: await readBootstrap("launched"),
    permissions: EXECUTABLE_PERMISSIONS,
    v8Flags: V8_FLAGS,
  });
  // A running executable cannot be written to, but another file can take its name.
  await Deno.writeFile(`${output}.new`, executable, { mode: 0o755 });
  await Deno.rename(`${output}.new`, output);
}

function parseOptions(args: readonly string[]): BuildOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      machine: { type: "string", default: Deno.build.arch === "aarch64" ? "arm64" : "x64" },
      output: { type: "string" },
      commit: { type: "string" },
    },
  });
  const machine = MACHINES.find((name) => name === values.machine);
  if (machine === undefined) throw new RangeError(`Unknown machine "${values.machine}"`);
  const isOwn = (machine === "arm64") === (Deno.build.arch === "aarch64");
  return {
    machine,
    output: values.output ?? (isOwn ? "dist/vipd" : `dist/vipd-${machine}`),
    stamp: values.commit && stampOf({ commit: values.commit, isDirty: false }),
  };
}

if (import.meta.main) {
  const options = parseOptions(Deno.args);
  const { way, size, programSize } = await build(options);
  const megabytes = (size / 1e6).toFixed(1);
  const text = `${options.output}: ${megabytes} MB by ${way}, of which program ` +
    `${Math.round(programSize / 1000)} kB\n`;
  await Deno.stdout.write(new TextEncoder().encode(text));
}
