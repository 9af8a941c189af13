/**
 * The conformance suite of one mode:
 *
 *     deno run -A test/conformance/run.ts --mode iptables [--variant legacy] [--workers 2]
 *         [--case NAME]... [--verbose]
 *
 * Prints one line per case, differences of what failed, and at the end `N passed, N failed` with
 * one for each step. Mode ipvs runs in user-mode-linux unless the kernel has IPVS (`--here` to
 * insist). Needs root.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { ended } from "../support/process.ts";
import { bootUml } from "../uml/boot.ts";
import { listCases, loadCase, type Mode, MODES } from "./cases.ts";
import type { StepResult } from "./run_case.ts";

interface Settings {
  readonly mode: Mode;
  readonly variant: "default" | "legacy";
  readonly workers: number;
  readonly cases: readonly string[];
  readonly isVerbose: boolean;
  readonly isHere: boolean;
  readonly reachMs: number;
  readonly stayMs: number;
}

interface Tally {
  passed: number;
  failed: number;
  own: number;
}

async function main(): Promise<number> {
  const settings = parseSettings();
  if (settings.mode === "ipvs" && !settings.isHere && !await hasIpvs()) {
    return await runInUml(settings);
  }
  const queue = [...settings.cases];
  const tally: Tally = { passed: 0, failed: 0, own: 0 };
  const started = performance.now();
  const workers = Array.from({ length: settings.workers }, () => work(queue, { settings, tally }));
  await Promise.all(workers);
  return conclude(settings, { tally, started });
}

function parseSettings(): Settings {
  const { values } = parseArgs({
    options: {
      mode: { type: "string", default: "iptables" },
      variant: { type: "string", default: "default" },
      workers: { type: "string", default: "2" },
      case: { type: "string", multiple: true, default: [] },
      verbose: { type: "boolean", default: false },
      here: { type: "boolean", default: false },
      "reach-ms": { type: "string", default: "10000" },
      "stay-ms": { type: "string", default: "400" },
    },
  });
  const mode = MODES.find((one) => one === values.mode);
  if (!mode) throw new TypeError(`--mode is one of ${MODES.join(", ")}`);
  const wanted = values.case.length > 0 ? values.case : listCases();
  return {
    mode,
    variant: values.variant === "legacy" ? "legacy" : "default",
    workers: Number(values.workers),
    cases: wanted.filter((name) => loadCase(name).modes.includes(mode)),
    isVerbose: values.verbose,
    isHere: values.here,
    reachMs: Number(values["reach-ms"]),
    stayMs: Number(values["stay-ms"]),
  };
}

async function hasIpvs(): Promise<boolean> {
  const probe = "modprobe -q ip_vs 2>/dev/null; [ -e /proc/net/ip_vs ]";
  return (await ended(["sh", "-c", probe])).code === 0;
}

/** The same program again on kernels that have IPVS, where everything takes ten times as long. */
async function runInUml(settings: Settings): Promise<number> {
  const started = performance.now();
  const shares = Array.from(
    { length: settings.workers },
    (_, index) => settings.cases.filter((_, position) => position % settings.workers === index),
  ).filter((share) => share.length > 0);
  const tally: Tally = { passed: 0, failed: 0, own: 0 };
  await Promise.all(shares.map(async (cases) => {
    const lines: string[] = [];
    const { code } = await bootUml({
      timeoutMs: 40 * 60_000,
      memory: "2G",
      script: umlScript(settings, cases),
      onLine: (line) => {
        if (addSummary(line, tally)) lines.push(line);
        else say(line);
      },
    });
    if (lines.length > 0) return;
    tally.failed++;
    say(`FAIL user-mode-linux ended with ${code}`);
  }));
  return conclude(settings, { tally, started });
}

function umlScript({ mode, isVerbose }: Settings, cases: readonly string[]): string {
  const words = [
    ...[Deno.execPath(), "run", "-A", "--no-check", "--cached-only"],
    new URL(import.meta.url).pathname,
    ...["--mode", mode, "--here", "--variant", "legacy", "--workers", "1"],
    ...["--reach-ms", "60000", "--stay-ms", "1200"],
    ...(isVerbose ? ["--verbose"] : []),
    ...cases.flatMap((name) => ["--case", name]),
  ];
  return `
    modprobe -a ip_vs ip_vs_rr ip_vs_wrr ip_vs_lc ip_vs_wlc ip_vs_sh ip_vs_mh dummy nf_conntrack \
      nf_conntrack_netlink nfnetlink_acct xt_recent ip_set veth
    exec ${words.join(" ")}`;
}

/** True for the last two lines of a run of this program. */
function addSummary(line: string, tally: Tally): boolean {
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/.exec(line) ?? [];
  tally.passed += Number(passed ?? 0);
  tally.failed += Number(failed ?? 0);
  const [, own] = /^conformance .*; (\d+) files are expected/.exec(line) ?? [];
  tally.own += Number(own ?? 0);
  return passed !== undefined || own !== undefined;
}

function conclude(
  settings: Settings,
  { tally, started }: { readonly tally: Tally; readonly started: number },
): number {
  const seconds = Math.round((performance.now() - started) / 1000);
  const name = settings.variant === "legacy" && settings.mode !== "ipvs"
    ? `${settings.mode}-legacy`
    : settings.mode;
  say(
    `conformance ${name}: ${settings.cases.length} cases in ${seconds} s; ` +
      `${tally.own} files are expected as vipd decides, not as captured`,
  );
  say(`${tally.passed} passed, ${tally.failed} failed`);
  return tally.failed === 0 ? 0 : 1;
}

interface Shift {
  readonly settings: Settings;
  readonly tally: Tally;
}

/** One worker process in its own namespace; gives it cases until there are no more. */
async function work(queue: string[], { settings, tally }: Shift): Promise<void> {
  const namespace = `vcf-${Deno.pid}-outside-${queue.length}-${lanes++}`;
  await ended(["ip", "netns", "add", namespace]);
  await ended(["ip", "-n", namespace, "link", "set", "lo", "up"]);
  try {
    const { mode, variant, reachMs, stayMs } = settings;
    const program = new URL("worker.ts", import.meta.url).pathname;
    // Not `ip netns exec`: namespaces made in its mount namespace could not be seen from outside.
    const child = new Deno.Command("nsenter", {
      args: [
        `--net=/run/netns/${namespace}`,
        ...[Deno.execPath(), "run", "-A", "--no-check", "--cached-only", program],
        ...[mode, variant, String(reachMs), String(stayMs)],
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    await converse(child, { queue, settings, tally });
  } finally {
    await ended(["ip", "netns", "del", namespace]);
  }
}

let lanes = 0;

async function converse(
  child: Deno.ChildProcess,
  { queue, settings, tally }: Shift & { readonly queue: string[] },
): Promise<void> {
  const stdin = child.stdin.getWriter();
  const give = async (): Promise<string | undefined> => {
    const name = queue.shift();
    if (name === undefined) await stdin.close();
    else await stdin.write(new TextEncoder().encode(`${name}\n`));
    return name;
  };
  let current = await give();
  let results: StepResult[] = [];
  for await (const line of linesOf(child.stdout)) {
    const message = decodeMessage(line);
    if ("done" in message) {
      report(results, { settings, tally });
      results = [];
      current = await give();
    } else results.push(message);
  }
  const { code } = await child.status;
  if (current === undefined && code === 0) return;
  report(results, { settings, tally });
  tally.failed++;
  say(`FAIL ${current}: the worker ended with ${code}`);
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** A line of a worker, which is part of this program. */
function decodeMessage(line: string): StepResult | { readonly done: string } {
  return JSON.parse(line) as StepResult | { readonly done: string };
}

function report(results: readonly StepResult[], { settings, tally }: Shift): void {
  const failed = results.filter(({ failure }) => failure !== "");
  const ms = results.reduce((sum, result) => sum + result.ms, 0);
  const own = results.reduce((sum, result) => sum + result.own.length, 0);
  tally.failed += failed.length;
  tally.passed += results.length - failed.length;
  tally.own += own;
  const verdict = failed.length === 0 ? "ok  " : "FAIL";
  const difference = own === 0 ? "" : `, ${own} as vipd decides`;
  say(
    `${verdict} ${
      results[0]?.case
    } ${settings.mode}: ${results.length} steps, ${ms} ms${difference}`,
  );
  for (const { step, title, failure } of failed) {
    const shown = settings.isVerbose ? failure : failure.split("\n").slice(0, 40).join("\n");
    say(`  step ${step} ${title}\n${shown.replaceAll(/^/gm, "    ")}`);
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exitCode = await main();
