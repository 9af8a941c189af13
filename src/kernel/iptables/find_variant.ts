/**
 * Looks which kind of iptables this node uses; variant.ts decides. As little as possible is read:
 * the kubelet's chains are in table mangle, which is small. Legacy is never asked for a table by
 * name, for that would make the kernel create it.
 *
 * @module
 */

import { ExecError, type Run } from "../exec/run.ts";
import {
  chooseVariant,
  type Findings,
  type Holdings,
  parseHoldings,
  type ToolVariant,
  type VariantChoice,
} from "./variant.ts";

const TOOLS = ["iptables", "ip6tables"] as const;

/** The kind that is in use, or the one to begin with, and what was found. */
export interface FoundVariant {
  readonly choice: VariantChoice;
  readonly findings: Findings;
}

/**
 * Undefined where there is nothing to choose: the node has an `iptables` or `ip6tables`, or none
 * of either kind. Throws an ExecError when a tool hangs.
 */
export async function findVariant(run: Run): Promise<FoundVariant | undefined> {
  for (const tool of TOOLS) {
    if (await isInstalled(tool, run)) return undefined;
  }
  const findings = await find(run);
  const choice = chooseVariant(findings);
  return choice && { choice, findings };
}

async function isInstalled(tool: string, run: Run): Promise<boolean> {
  try {
    await run(tool, ["--version"]);
    return true;
  } catch (error) {
    if (!(error instanceof ExecError)) throw error;
    return error.failure !== "not-found";
  }
}

async function find(run: Run): Promise<Findings> {
  const nft = await readHoldings("nft", { run, table: "mangle" });
  if (nft === undefined) return { nft, legacy: await readHoldings("legacy", { run }) };
  if (nft.isHinted) return { nft, legacy: undefined };
  const legacy = await readHoldings("legacy", { run });
  if (legacy === undefined || legacy.isHinted) return { nft, legacy };
  return { nft: await readHoldings("nft", { run }), legacy };
}

async function readHoldings(
  variant: ToolVariant,
  { run, table }: { run: Run; table?: string },
): Promise<Holdings | undefined> {
  const texts: string[] = [];
  for (const tool of TOOLS) {
    const text = await save([`${tool}-${variant}-save`, ...table ? ["-t", table] : []], run);
    if (text !== undefined) texts.push(text);
  }
  return texts.length === 0 ? undefined : parseHoldings(texts.join("\n"));
}

/** Undefined when the tool is missing, or the kernel has nothing for it. */
async function save(
  [tool = "", ...args]: readonly string[],
  run: Run,
): Promise<string | undefined> {
  try {
    return (await run(tool, args)).stdout;
  } catch (error) {
    if (!(error instanceof ExecError)) throw error;
    if (error.failure === "not-found") return undefined;
    if (error.failure !== "exit") throw error;
    // What it could read before it failed counts all the same.
    return error.stdout === "" ? undefined : error.stdout;
  }
}
