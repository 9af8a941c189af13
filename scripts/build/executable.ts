/**
 * Runtime + launcher + program = one executable that needs neither Deno, nor a cache, nor the
 * network, nor a file system it may write to.
 *
 * @module
 */

import type { Bundle } from "./bundle.ts";
import { addCodeSegment, decodeElf, segmentAddress } from "./elf.ts";
import { symbolSlot } from "./elf_symbols.ts";
import { concat, encodeLauncher } from "./launcher.ts";
import { encodePayload } from "./payload.ts";

/** What an executable is made from. */
export interface Parts {
  /** The `deno` program of the machine it is for. */
  readonly runtime: Uint8Array;
  readonly program: Bundle;
  /** JavaScript that loads the program; see bootstrap.ts. */
  readonly bootstrap: string;
  /** `--allow-…` of the runtime. */
  readonly permissions: readonly string[];
  /** Without `--v8-flags=`. */
  readonly v8Flags: readonly string[];
}

/** Nothing outside of the file is looked at: no configuration, lock file, cache or registry. */
const HERMETIC = ["--quiet", "--no-remote", "--no-npm", "--no-config", "--no-lock"];

/** Where tools are when nobody says; then the variables of the runtime that would look outside. */
const ENVIRONMENT = [
  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  ...["DENO_NO_UPDATE_CHECK=1", "DENO_DIR=/proc/none"],
] as const;

/** The bytes of the executable. The same parts make the same bytes. */
export function makeExecutable(parts: Parts): Uint8Array<ArrayBuffer> {
  const facts = decodeElf(parts.runtime);
  const launcher = encodeLauncher({ args: runtimeArguments(parts), env: ENVIRONMENT }, {
    machine: facts.machine,
    address: segmentAddress(facts),
    entry: facts.entry,
    environSlot: symbolSlot(parts.runtime, "environ"),
  });
  return concat([addCodeSegment(parts.runtime, launcher), encodePayload(parts.program)]);
}

function runtimeArguments({ bootstrap, permissions, v8Flags }: Parts): readonly string[] {
  const flags = v8Flags.length > 0 ? [`--v8-flags=${v8Flags.join(",")}`] : [];
  const module = `data:application/javascript;base64,${btoa(bootstrap)}`;
  return ["run", ...HERMETIC, ...flags, ...permissions, module];
}
