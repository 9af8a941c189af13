/**
 * The plain way to an executable: `deno compile`, where the base it needs is at hand.
 *
 * @module
 */

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

/** Writes the executable. */
export async function compile(options: CompileOptions): Promise<void> {
  const { machine, program, permissions, v8Flags, output } = options;
  const directory = await Deno.makeTempDir({ prefix: "vipd-compile-" });
  try {
    const entry = `${directory}/vipd.js`;
    await Deno.writeFile(entry, program.code);
    const flags = v8Flags.length > 0 ? [`--v8-flags=${v8Flags.join(",")}`] : [];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["compile", "--quiet", "--no-check", "--no-config", "--no-lock", "--no-remote"],
        ...[`--target=${TARGETS[machine]}`, ...flags, ...permissions, "-o", output, entry],
      ],
    }).output();
    if (!success) throw new Error(`Cannot compile: ${new TextDecoder().decode(stderr)}`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
