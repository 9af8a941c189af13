/**
 * Reads what `iptables --version` prints: `iptables v1.8.9 (nf_tables)`. Versions before 1.8 do
 * not name a variant; there was only legacy.
 *
 * @module
 */

/** Where rules are kept: nf_tables changes single rules, legacy replaces a table as a whole. */
export type IptablesVariant = "nf_tables" | "legacy";

/** Version and variant of the tools. */
export interface IptablesVersion {
  /** major, minor, patch */
  readonly numbers: readonly [number, number, number];
  readonly variant: IptablesVariant;
}

/**
 * Parses what `iptables --version` prints.
 *
 * @throws {SyntaxError} when no version is named.
 */
export function parseVersion(text: string): IptablesVersion {
  const match = /v(\d+)\.(\d+)(?:\.(\d+))?(?:\s+\((\w+)\))?/.exec(text);
  if (match === null) {
    throw new SyntaxError(`Cannot parse iptables version ${JSON.stringify(text.trim())}`);
  }
  const [, major, minor, patch = 0, variant] = match;
  return {
    numbers: [Number(major), Number(minor), Number(patch)],
    variant: variant === "nf_tables" ? "nf_tables" : "legacy",
  };
}

/** Whether the tools are of this version or a later one. */
export function atLeast(
  version: IptablesVersion,
  wanted: readonly [number, number, number],
): boolean {
  for (const [i, number] of wanted.entries()) {
    const difference = (version.numbers[i] ?? 0) - number;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
