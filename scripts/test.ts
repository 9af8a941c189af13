/**
 * The test command: `deno task test [SUITE...]`.
 *
 * Sets the machine up, runs every suite, shows progress and what failed, and ends with one line
 * `N passed, N failed` over all of them. What runs in user-mode-linux keeps one core busy, so it
 * runs beside the other suites. Needs root. `VIPD=dist/vipd` tests that executable.
 *
 * @module
 */

import process from "node:process";
import { UNIT_TESTS } from "./ok.ts";
import { setUp } from "./setup.ts";

interface Suite {
  readonly name: string;
  /** Arguments of deno. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Runs beside the others. */
  readonly isUml?: boolean;
}

interface Outcome {
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
}

const RUN = ["run", "-A", "--no-check"];
const TEST = ["test", "-A", "--no-check"];
const CONFORMANCE = [...RUN, "test/conformance/run.ts", "--mode"];
const E2E = [...RUN, "test/e2e/run.ts", "--mode"];
const DEMO = [...RUN, "scripts/demo/main.ts", "--mode"];

/** A case of every kind for the executable: start, changes, restart, cleanup. */
const SLICE = ["clusterip", "dual-stack", "endpoint-churn", "nodeport", "restart", "cleanup"]
  .flatMap((name) => ["--case", name]);
const EXECUTABLE = { VIPD: "dist/vipd" };

const SUITES: readonly Suite[] = [
  { name: "house", args: [...RUN, "scripts/ok.ts"] },
  { name: "unit", args: ["test", "-P=unit", "--no-check", ...UNIT_TESTS] },
  { name: "support", args: [...TEST, "test/support", "test/conformance"] },
  { name: "contract", args: [...TEST, "test/contract"] },
  { name: "conformance-iptables", args: [...CONFORMANCE, "iptables"] },
  { name: "conformance-legacy", args: [...CONFORMANCE, "iptables", "--variant", "legacy"] },
  { name: "conformance-nftables", args: [...CONFORMANCE, "nftables"] },
  {
    name: "conformance-nft-tool",
    args: [...CONFORMANCE, "nftables"],
    env: { VIPD_NFTABLES_WRITER: "nft" },
  },
  { name: "e2e-iptables", args: [...E2E, "iptables"] },
  { name: "e2e-nftables", args: [...E2E, "nftables"] },
  { name: "packaging", args: [...TEST, "test/packaging"] },
  {
    name: "executable-iptables",
    args: [...CONFORMANCE, "iptables", ...SLICE],
    env: EXECUTABLE,
  },
  {
    name: "executable-nftables",
    args: [...CONFORMANCE, "nftables", ...SLICE],
    env: EXECUTABLE,
  },
  { name: "demo-iptables", args: [...DEMO, "iptables"], env: EXECUTABLE },
  { name: "demo-nftables", args: [...DEMO, "nftables"], env: EXECUTABLE },
  { name: "conformance-ipvs", args: [...CONFORMANCE, "ipvs"], isUml: true },
  { name: "e2e-ipvs", args: [...E2E, "ipvs"], isUml: true },
  {
    name: "executable-ipvs",
    args: [...CONFORMANCE, "ipvs", ...SLICE],
    env: EXECUTABLE,
    isUml: true,
  },
  { name: "demo-ipvs", args: [...DEMO, "ipvs"], env: EXECUTABLE, isUml: true },
  { name: "uml", args: [...TEST, "test/uml"], isUml: true },
];

const LIMIT_MS = 40 * 60_000;
const SHOWN_LINES = 150;

async function main(): Promise<number> {
  const suites = chosenSuites();
  await setUp("test", say);
  if (suites.some(needsBuild)) await build();
  const logs = await Deno.makeTempDir({ prefix: "vipd-test-" });
  say(`${suites.length} suites; what they print is in ${logs}`);
  const started = performance.now();
  const lane = async (own: readonly Suite[]): Promise<Outcome[]> => {
    const outcomes: Outcome[] = [];
    for (const suite of own) outcomes.push(await runSuite(suite, logs));
    return outcomes;
  };
  const outcomes = (await Promise.all([
    lane(suites.filter(({ isUml }) => !isUml)),
    lane(suites.filter(({ isUml }) => isUml)),
  ])).flat();
  return summarise(outcomes, secondsSince(started));
}

function chosenSuites(): readonly Suite[] {
  if (Deno.args.length === 0) return SUITES;
  const chosen = SUITES.filter(({ name }) => Deno.args.some((arg) => name.startsWith(arg)));
  if (chosen.length > 0) return chosen;
  throw new TypeError(`No such suite; there are ${SUITES.map(({ name }) => name).join(", ")}`);
}

function needsBuild({ name, env }: Suite): boolean {
  return name === "packaging" || env?.["VIPD"] !== undefined;
}

async function build(): Promise<void> {
  const { code, output } = await deno({ name: "build", args: ["task", "build"] }, () => {});
  if (code !== 0) throw new Error(`Cannot build dist/vipd:\n${output}`);
  say("built dist/vipd");
}

async function runSuite(suite: Suite, logs: string): Promise<Outcome> {
  const started = performance.now();
  say(`start   ${suite.name}`);
  const { code, output } = await deno(suite, progressOf(suite));
  await Deno.writeTextFile(`${logs}/${suite.name}.log`, output);
  const { passed, failed } = countTests(output, code);
  const seconds = secondsSince(started);
  say(
    `${failed === 0 ? "passed " : "FAILED "} ${suite.name}: ${passed} passed, ` +
      `${failed} failed in ${seconds} s`,
  );
  if (failed > 0) say(relevantLines(output).replaceAll(/^/gm, "    "));
  return { name: suite.name, passed, failed, seconds };
}

/** Runs deno; everything it prints is gathered and handed on line by line. */
async function deno(
  { args, env = {} }: Suite,
  onLine: (line: string) => void,
): Promise<{ code: number; output: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(LIMIT_MS),
  }).spawn();
  const lines: string[] = [];
  const take = (line: string): void => {
    lines.push(line);
    onLine(line);
  };
  const [status] = await Promise.all([
    child.status,
    readLines(child.stdout, take),
    readLines(child.stderr, take),
  ]);
  return { code: status.code, output: lines.join("\n") };
}

async function readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(take);
  }
  if (rest !== "") take(rest);
}

/** Long suites say now and then how far they are. */
function progressOf({ name }: Suite): (line: string) => void {
  const everyMs = 30_000;
  let saidAt = performance.now();
  let count = 0;
  return (line) => {
    if (/^(ok|FAIL) |\.\.\. (ok|FAILED)/.test(line)) count++;
    if (performance.now() - saidAt < everyMs) return;
    saidAt = performance.now();
    say(`        ${name}: ${count} so far`);
  };
}

/** Sums what `deno test`, the conformance runner, `ok` and the demo say; no tests is a failure. */
function countTests(output: string, code: number): { passed: number; failed: number } {
  const summaries = [
    ...output.matchAll(/^(?:ok|FAILED) \| (\d+) passed[^|]*\| (\d+) failed/gm),
    ...output.matchAll(/^(\d+) passed, (\d+) failed$/gm),
  ];
  let passed = output.match(/^ok {5}\S/gm)?.length ?? 0;
  let failed = output.match(/^FAILED \S+.*\(\d+\.\d s\)$/gm)?.length ?? 0;
  for (const [, good, bad] of summaries) {
    passed += Number(good);
    failed += Number(bad);
  }
  for (const [, good, all] of output.matchAll(/^(\d+) of (\d+) as expected/gm)) {
    passed += Number(good);
    failed += Number(all) - Number(good);
  }
  const isBad = code !== 0 || passed === 0;
  return { passed, failed: isBad ? Math.max(failed, 1) : failed };
}

function relevantLines(output: string): string {
  const lines = output.split("\n").filter((line) =>
    !/\.\.\. ok \(|^running \d+ tests|^ok {2,}|^\s*$/.test(line)
  );
  if (lines.length <= SHOWN_LINES) return lines.join("\n");
  return [`(${lines.length - SHOWN_LINES} lines before)`, ...lines.slice(-SHOWN_LINES)].join("\n");
}

function summarise(outcomes: readonly Outcome[], seconds: number): number {
  say(`\nall suites in ${seconds} s`);
  let passed = 0;
  let failed = 0;
  for (const outcome of outcomes) {
    passed += outcome.passed;
    failed += outcome.failed;
    const numbers = [outcome.passed, outcome.failed, outcome.seconds].map((n) =>
      String(n).padStart(6)
    );
    say(`${outcome.name.padEnd(24)}${numbers[0]} passed${numbers[1]} failed${numbers[2]} s`);
  }
  say(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

function secondsSince(started: number): number {
  return Math.round((performance.now() - started) / 1000);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

if (import.meta.main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    say(`Cannot run the tests: ${error instanceof Error ? error.message : error}`);
    say("0 passed, 1 failed");
    process.exitCode = 1;
  }
}
