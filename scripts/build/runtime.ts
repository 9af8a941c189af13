/**
 * The runtime an executable is made from: the `deno` program of the npm package for a machine,
 * pinned by version and checked against its digest, so that every build of a commit starts from
 * the same bytes.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Machine } from "./launcher.ts";

/** One pinned package. */
interface PinnedRuntime {
  readonly package: string;
  readonly version: string;
  /** SHA-256 of the program in the package, in hex. */
  readonly sha256: string;
}

/** Pinned, because the runtime's reading of its command line changes between releases. */
export const RUNTIMES: Readonly<Record<Machine, PinnedRuntime>> = {
  x64: {
    package: "@deno/linux-x64-glibc",
    version: "2.9.6",
    sha256: "bceb5b6a6239b0b010418406d8c77a508f67cf4337d94288f1c19fe71304aab0",
  },
  // The registry that builds reach here carries no newer one for this machine.
  arm64: {
    package: "@deno/linux-arm64-glibc",
    version: "2.9.5",
    sha256: "e1a70c5eb03b0ebaf761077029ef86b9ba22d50e2b54ca45ce5437457f701b63",
  },
};

/** The bytes of the runtime; from this very process when it is the pinned one, else from npm. */
export async function readRuntime(machine: Machine): Promise<Uint8Array<ArrayBuffer>> {
  const pinned = RUNTIMES[machine];
  const own = await Deno.readFile(Deno.execPath());
  if (digest(own) === pinned.sha256) return own;
  const program = await downloadRuntime(pinned);
  const found = digest(program);
  if (found === pinned.sha256) return program;
  throw new Error(
    `Cannot use ${pinned.package}@${pinned.version}: its SHA-256 is ${found}, not ${pinned.sha256}`,
  );
}

async function downloadRuntime(pinned: PinnedRuntime): Promise<Uint8Array<ArrayBuffer>> {
  const directory = await Deno.makeTempDir({ prefix: "vipd-runtime-" });
  try {
    const name = `${pinned.package}@${pinned.version}`;
    const archive = (await output(directory, ["npm", "pack", "--silent", name])).trim();
    await output(directory, ["tar", "-xzf", archive, "package/deno"]);
    return await Deno.readFile(`${directory}/package/deno`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function output(cwd: string, [command = "", ...args]: readonly string[]): Promise<string> {
  const result = await new Deno.Command(command, { args, cwd, stderr: "inherit" }).output();
  if (!result.success) throw new Error(`Cannot run "${[command, ...args].join(" ")}" in ${cwd}`);
  return new TextDecoder().decode(result.stdout);
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
