/**
 * A worker of the conformance suite. Lives in a network namespace of its own, which is what is
 * outside of the nodes it makes; takes names of cases from stdin, one a line, and prints results
 * as JSON lines, `{"done":NAME}` after each case.
 *
 *     worker.ts MODE VARIANT REACH_MS STAY_MS
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { legacyIptablesPath } from "../support/tools.ts";
import { loadCase, type Mode, MODES } from "./cases.ts";
import { runCase } from "./run_case.ts";

async function main(): Promise<void> {
  const [word, variant, reachMs, stayMs] = Deno.args;
  const mode = MODES.find((one) => one === word);
  if (!mode) throw new TypeError(`Unknown mode "${word}"`);
  const home = await Deno.makeTempDir({ prefix: `vipd-conformance-${Deno.pid}-` });
  const path = variant === "legacy" ? await legacyIptablesPath(`${home}/legacy`) : undefined;
  const patience = { reachMs: Number(reachMs), stayMs: Number(stayMs) };
  for await (const name of createInterface({ input: process.stdin })) {
    await runOne(name, { mode, path, patience, directory: `${home}/${name}` });
    print({ done: name });
  }
  await Deno.remove(home, { recursive: true });
}

async function runOne(
  name: string,
  options: Parameters<typeof runCase>[1] & { readonly mode: Mode },
): Promise<void> {
  await Deno.mkdir(options.directory, { recursive: true });
  try {
    for await (const result of runCase(loadCase(name), options)) print(result);
  } catch (error) {
    const failure = error instanceof Error ? error.stack ?? error.message : String(error);
    print({ case: name, mode: options.mode, step: "--", title: "", ms: 0, own: [], failure });
  }
}

function print(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

await main();
