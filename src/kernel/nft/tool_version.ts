/**
 * Whether the nft tool is there and new enough.
 *
 * @module
 */

import { ExecError, type Run } from "../exec/run.ts";
import { NftError } from "./nft.ts";
import { listingError } from "./tool_error.ts";

/** The first version whose language has all that we say. */
const NEEDED = [1, 0, 1] as const;

/** Throws {@linkcode NftError} with what to do when the tool cannot be used. */
export async function checkTool(run: Run): Promise<void> {
  try {
    const { stdout } = await run("nft", ["--version"]);
    const version = parseVersion(stdout);
    if (version === undefined || isOlder(version, NEEDED)) throw tooOld(stdout);
    await run("nft", ["list", "tables"]);
  } catch (error) {
    throw error instanceof ExecError ? listingError(error) : error;
  }
}

/** `nftables v1.0.6 (Lester Gooch #5)` */
export function parseVersion(text: string): readonly number[] | undefined {
  const match = /\bv(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return match?.slice(1).map((part) => Number(part ?? 0));
}

/** Whether the version comes before the other one. */
export function isOlder(version: readonly number[], other: readonly number[]): boolean {
  for (const [i, needed] of other.entries()) {
    const part = version[i] ?? 0;
    if (part !== needed) return part < needed;
  }
  return false;
}

function tooOld(stdout: string): NftError {
  return new NftError(
    `Cannot use the nft tool: it calls itself ${JSON.stringify(stdout.trim())}, ` +
      `version ${NEEDED.join(".")} or newer is needed`,
    { failure: "unavailable" },
  );
}
