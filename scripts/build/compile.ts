/**
 * The plain way to an executable: `deno compile`, where the base it needs is at hand.
 *
 * @module
 */

import { readBootstrap } from "./bootstrap.ts";
import type { Bundle } from "./bundle.ts";
import type { Machine } from "./launcher.ts";

const TARGETS: Readonly<Record<Machine, string>> = {
  x64: "x86_64-unknown-linux-gnu",
  arm64: "aarch64-unknown-linux-gnu",
};
const DOWNLOADS = "https://dl.deno.land/release";
const PROBE_MS = 3_000;

/** What `deno compile` is asked for. */
export interface CompileOptions {
  readonly machine: Machine;
  readonly program: Bundle;
  readonly permissions: readonly string[];
  readonly v8Flags: readonly string[];
  /** The file to write. */
  readonly output: string;
}

/** Whether the base is given by $DENORT_BIN or can be downloaded; asks the network for 3 s at most. */
export async function canCompile(machine: Machine): Promise<boolean> {
  if (Deno.env.get("DENORT_BIN")) return true;
  const url = `${DOWNLOADS}/v${Deno.version.deno}/denort-${TARGETS[machine]}.zip`;
  try {
    const reply = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(PROBE_MS) });
    return reply.ok;
  } catch (error) {
    if (error instanceof TypeError || error instanceof DOMException) return false;
    throw error;
  }
}

/**
 * Writes the executable. The name of the file and the times of what is put into it are part of its
 * bytes, so both are always the same.
 */
export async function compile(options: CompileOptions): Promise<void> {
  const { machine, program, permissions, v8Flags, output } = options;
  const directory = await Deno.makeTempDir({ prefix: "vipd-compile-" });
  try {
    const sources = `${directory}/sources`;
    const entry = await writeSources(program, sources);
    const flags = v8Flags.length > 0 ? [`--v8-flags=${v8Flags.join(",")}`] : [];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["compile", "--quiet", "--no-check", "--no-config", "--no-lock", "--no-remote"],
        ...[`--target=${TARGETS[machine]}`, ...flags, ...permissions],
        ...[`--include=${sources}/vipd.map.gz`, "-o", `${directory}/vipd`, entry],
      ],
    }).output();
    if (!success) throw new Error(`Cannot compile: ${new TextDecoder().decode(stderr)}`);
    await Deno.copyFile(`${directory}/vipd`, `${output}.new`);
    await Deno.rename(`${output}.new`, output);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Writes what is compiled into a new directory. Returns the path of the first module. */
export async function writeSources(program: Bundle, directory: string): Promise<string> {
  await Deno.mkdir(directory);
  const files = {
    "vipd.js": program.code,
    "vipd.map.gz": program.map,
    "main.js": new TextEncoder().encode(await readBootstrap("compiled")),
  };
  for (const [name, bytes] of Object.entries(files)) {
    await Deno.writeFile(`${directory}/${name}`, bytes);
    await Deno.utime(`${directory}/${name}`, 0, 0);
  }
  return `${directory}/main.js`;
}
