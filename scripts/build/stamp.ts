/**
 * The commit in the program. A bundle carries forty zeros where the commit belongs; others of the
 * same length take their place, so that every position in the source map stays true.
 *
 * @module
 */

import type { Bundle } from "./bundle.ts";

const PLACEHOLDER = "0".repeat(40);
const DIRTY = "-dirty";

/** What a build is made from. */
export interface Origin {
  /** 40 hex digits. */
  readonly commit: string;
  /** Files that are not as in the commit. */
  readonly isDirty: boolean;
}

/** The forty characters for an origin. */
export function stampOf({ commit, isDirty }: Origin): string {
  if (!/^[0-9a-f]{40}$/.test(commit)) throw new SyntaxError(`Cannot use as commit: ${commit}`);
  return isDirty ? `${commit.slice(0, -DIRTY.length)}${DIRTY}` : commit;
}

/**
 * The bundle with the stamp in it.
 *
 * @throws {SyntaxError} when it has no place for one.
 */
export function stampBundle(bundle: Bundle, stamp: string): Bundle {
  const text = new TextDecoder().decode(bundle.code);
  const parts = text.split(`"${PLACEHOLDER}"`);
  if (parts.length !== 2) {
    throw new SyntaxError(`Cannot stamp the program: ${parts.length - 1} places for a commit`);
  }
  return { ...bundle, code: new TextEncoder().encode(parts.join(`"${stamp}"`)) };
}

/** Asks git about the checkout in the working directory. */
export async function readOrigin(): Promise<Origin> {
  const commit = (await git("rev-parse", "HEAD")).trim();
  const changed = await git("status", "--porcelain", "--untracked-files=no", "--", ...BUILT_FROM);
  return { commit, isDirty: changed !== "" };
}

const BUILT_FROM = [
  "src",
  "scripts/build",
  "scripts/vipd_permissions.ts",
  "deno.json",
  "deno.lock",
];

async function git(...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("git", { args: [...args] }).output();
  if (success) return new TextDecoder().decode(stdout);
  throw new Error(`Cannot ask git ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}
