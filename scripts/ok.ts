/**
 * `deno task ok`: everything that needs neither root nor a kernel of its own, in under a minute.
 * One line for each step; what a step has to say is shown only when it fails.
 *
 * @module
 */

import { lintDocs } from "./doc_lint.ts";

/** What a step came to: nothing to say, or what is wrong. */
type Outcome = { readonly ok: true } | { readonly ok: false; readonly output: string };

interface Step {
  readonly name: string;
  readonly run: () => Promise<Outcome>;
}

/** What is tested with no permission but those of the profile `unit`. */
export const UNIT_TESTS = ["mod_test.ts", "src", "scripts", "test/fuzz"];

const STEPS: readonly Step[] = [
  { name: "fmt", run: () => deno("fmt", "--check") },
  { name: "lint", run: () => deno("lint", "--quiet") },
  { name: "check", run: () => deno("check", "--quiet") },
  { name: "docs", run: checkDocs },
  { name: "unit tests", run: runUnitTests },
];

async function deno(...args: readonly string[]): Promise<Outcome> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [...args],
    stdin: "null",
    env: { NO_COLOR: "1" },
  });
  const { success, stdout, stderr } = await command.output();
  if (success) return { ok: true };
  const decoder = new TextDecoder();
  return { ok: false, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

async function runUnitTests(): Promise<Outcome> {
  const outcome = await deno("test", "-P=unit", "--quiet", "--reporter=dot", ...UNIT_TESTS);
  // Without a terminal each dot is a line.
  return outcome.ok ? outcome : { ok: false, output: outcome.output.replaceAll(/^[.,!]\n/gm, "") };
}

async function checkDocs(): Promise<Outcome> {
  const problems = await lintDocs("src");
  return problems.length === 0 ? { ok: true } : { ok: false, output: problems.join("\n\n") };
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Runs every step, also after one that failed; returns how many failed. */
async function runSteps(): Promise<number> {
  let failed = 0;
  for (const { name, run } of STEPS) {
    const start = performance.now();
    const outcome = await run();
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    say(`${outcome.ok ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
    if (outcome.ok) continue;
    failed++;
    say(outcome.output.trimEnd().replaceAll(/^/gm, "    "));
  }
  return failed;
}

if (import.meta.main) {
  const failed = await runSteps();
  say(failed === 0 ? "All is well." : `${failed} of ${STEPS.length} steps failed.`);
  Deno.exit(failed === 0 ? 0 : 1);
}
