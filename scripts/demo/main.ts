/**
 * `deno task demo`: a small cluster of network namespaces in which vipd makes Services answer, shown
 * as a table of who asks what and who answers.
 *
 *     deno task demo [--mode iptables|nftables|ipvs] [--keep] [--stop]
 *
 * Needs root on Debian 12; installs what is missing. Nothing outside of its own namespaces changes.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import type { ProxyMode } from "../../src/config/types.ts";
import { ended } from "../../test/support/process.ts";
import { setUp, SetUpError } from "../setup.ts";
import { type Change, CHANGES, makeChange } from "./changes.ts";
import { type Check, checksFor } from "./checks.ts";
import { removeAll, removeOwn } from "./clean.ts";
import { type Cluster, DemoError, openCluster } from "./cluster.ts";
import { judge } from "./judge.ts";
import { isInside, openScreen, type Screen } from "./screen.ts";
import { hasIpvs, runInUml } from "./uml.ts";

const USAGE = `Usage: deno task demo [--mode iptables|nftables|ipvs] [--keep] [--stop]

  --mode  what vipd programs (default iptables); ipvs runs in user-mode-linux
          when this kernel has no IPVS
  --keep  leave everything running, and say how to look around
  --stop  end what --keep left running
`;
const MODES: readonly ProxyMode[] = ["iptables", "nftables", "ipvs"];
const ANSWER_LIMIT_MS = 2_500;
const DROP_LIMIT_MS = 600;
/** Everything takes longer in user-mode-linux. */
const INSIDE_FACTOR = 4;
const FETCH_LIMIT_MS = 300_000;

/** Somebody wants it to end. */
const interrupt = new AbortController();

interface Options {
  readonly mode: ProxyMode;
  readonly keep: boolean;
  readonly stop: boolean;
}

function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    // `deno task demo -- --mode …` hands the separator on.
    args: args[0] === "--" ? args.slice(1) : [...args],
    options: {
      mode: { type: "string", default: "iptables" },
      keep: { type: "boolean", default: false },
      stop: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const mode = MODES.find((known) => known === values.mode);
  if (values.help || !mode) throw new TypeError(USAGE);
  return { mode, keep: values.keep, stop: values.stop };
}

async function demo(options: Options, screen: Screen): Promise<boolean> {
  const { mode, keep } = options;
  const begin = performance.now();
  if (!isInside()) await prepare(mode, screen);
  if (mode === "ipvs" && !await hasIpvs()) {
    if (keep) throw new SetUpError("This kernel has no IPVS, and user-mode-linux cannot be kept");
    return await runInUml(screen);
  }
  await removeAll();
  const directory = await Deno.makeTempDir({ prefix: `vipd-demo-${Deno.pid}-` });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const onStep = stepper(screen);
  const cluster = await openCluster({ mode, directory, stays: keep, onStep }, stack);
  const rights = [...await showTable(cluster, { mode, screen })];
  rights.push(...await showChanges(cluster, { directory, screen }));
  const good = rights.filter((isRight) => isRight).length;
  const seconds = ((performance.now() - begin) / 1_000).toFixed(1);
  const isGood = good === rights.length;
  screen.line();
  screen.line(
    screen.paint(isGood ? "good" : "bad", `${good} of ${rights.length} as expected, ${seconds} s`),
  );
  if (!isGood) screen.line(await logTail(`${directory}/vipd.log`));
  if (keep) {
    stack.move();
    sayHowToLook(cluster, { directory, screen });
  }
  return isGood;
}

function stepper(screen: Screen): (name: string, doing: string) => (done: string) => void {
  return (name, doing) => {
    const begin = performance.now();
    screen.busy(doing);
    return (text) => screen.step(name, { text, spentMs: performance.now() - begin });
  };
}

async function prepare(mode: ProxyMode, screen: Screen): Promise<void> {
  screen.line(screen.paint("strong", `vipd demo, mode ${mode}`));
  const done = stepper(screen)("set-up", "looking for what is needed");
  const profile = mode === "ipvs" && !await hasIpvs() ? "ipvs" : "demo";
  let said = "";
  await setUp(profile, (line) => {
    said = line.replace("set-up: ", "");
    if (said.startsWith("install")) screen.line(`  ${line}`);
  });
  // There is no network inside of the namespaces: all modules must be here before.
  const entries = ["src/main.ts", "test/support/apiserver/main.ts", "scripts/demo/agent.ts"];
  const root = new URL("../../", import.meta.url).pathname;
  const { code, stderr } = await ended([Deno.execPath(), "cache", "--quiet", ...entries], {
    cwd: root,
    timeoutMs: FETCH_LIMIT_MS,
  });
  if (code !== 0) throw new SetUpError(`Cannot fetch npm packages:\n${stderr}`);
  done(said);
}

async function showTable(
  cluster: Cluster,
  { mode, screen }: { mode: ProxyMode; screen: Screen },
): Promise<boolean[]> {
  screen.line();
  screen.row(["what", "from", "asked at", "answered by (w1: web-1)"]);
  const checks = checksFor({ mode, isSlow: isInside() }).filter(({ needsIpv6 }) =>
    cluster.hasIpv6 || !needsIpv6
  );
  // Silence takes its time: those lines wait while the others are asked.
  const early = new Map(checks.filter(isSlow).map((check) => [check, run(cluster, check)]));
  // An interrupt ends those who answer before anybody waits for these.
  for (const answer of early.values()) answer.catch(() => {});
  const rights: boolean[] = [];
  for (const check of checks) {
    screen.busy(`${check.title} from ${check.from}`);
    const verdict = judge(check, await (early.get(check) ?? run(cluster, check)));
    const host = check.host.includes(":") ? `[${check.host}]` : check.host;
    screen.row(
      [check.title, check.from, `${host}:${check.port}`, verdict.seen],
      verdict.isRight,
    );
    if (!verdict.isRight) screen.line(screen.paint("bad", `    ${verdict.problem}`));
    rights.push(verdict.isRight);
  }
  return rights;
}

function isSlow({ expects }: Check): boolean {
  return expects.kind === "each" && expects.text === "silence";
}

function run({ agents }: Cluster, check: Check) {
  const { protocol, host, port, path, count, source } = check;
  return agents[check.from].ask({
    protocol,
    host,
    port,
    count,
    timeoutMs: (isSlow(check) ? DROP_LIMIT_MS : ANSWER_LIMIT_MS) * (isInside() ? INSIDE_FACTOR : 1),
    ...(path !== undefined && { path }),
    ...(source !== undefined && { from: source }),
  });
}

async function showChanges(
  cluster: Cluster,
  { directory, screen }: { directory: string; screen: Screen },
): Promise<boolean[]> {
  screen.line();
  screen.line(screen.paint("strong", "change                  effect, as a pod that asks sees it"));
  const rights: boolean[] = [];
  for (const change of CHANGES) {
    rights.push(await showChange(cluster, { change, directory, screen }));
  }
  return rights;
}

async function showChange(
  cluster: Cluster,
  { change, directory, screen }: { change: Change; directory: string; screen: Screen },
): Promise<boolean> {
  screen.busy(change.title);
  const say = (text: string, mark: string) =>
    screen.line(`${change.title.padEnd(23)} ${text.padEnd(52)} ${mark}`);
  try {
    const spentMs = await makeChange(cluster, { change, directory });
    say(`${change.effect} after ${Math.round(spentMs)} ms`, screen.paint("good", "ok"));
    return true;
  } catch (error) {
    say(error instanceof Error ? error.message : String(error), screen.paint("bad", "NO"));
    return false;
  }
}

async function logTail(path: string): Promise<string> {
  const lines = (await Deno.readTextFile(path)).trim().split("\n");
  return ["", "the end of vipd's log:", ...lines.slice(-20)].join("\n");
}

function sayHowToLook(
  cluster: Cluster,
  { directory, screen }: { directory: string; screen: Screen },
): void {
  const inside = (place: string) => `ip netns exec ${cluster.network.name(place)}`;
  const api = `--cacert ca.crt --cert admin.crt --key admin.key ${cluster.url}`;
  screen.line(`
Everything runs on. To look around:

  ${inside("node-a")} iptables-save -t nat
  ${inside("node-a")} nft list ruleset
  ${inside("node-a")} curl -s 127.0.0.1:10249/metrics
  ${inside("web-1")} curl -s 10.96.10.3
  ${inside("outside")} curl -s 192.168.77.2:30080
  tail -f ${directory}/vipd.log
  cd ${directory} && ${inside("outside")} \\
    curl -s ${api}/api/v1/services

To end it: npx --yes deno@${Deno.version.deno} task demo --stop`);
}

async function main(): Promise<number> {
  const options = parseOptions(Deno.args);
  const screen = openScreen();
  if (options.stop) {
    await removeAll();
    screen.line("Nothing of the demo is running any more");
    return 0;
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, async () => {
      if (interrupt.signal.aborted) return;
      interrupt.abort();
      screen.line("Interrupted, cleaning up");
      await removeOwn();
      Deno.exit(130);
    });
  }
  return await demo(options, screen) ? 0 : 1;
}

/** What goes wrong after an interrupt is its doing; who handles it ends the process. */
async function leaveToInterrupt(): Promise<void> {
  if (interrupt.signal.aborted) await new Promise(() => {});
}

if (import.meta.main) {
  try {
    const code = await main();
    await leaveToInterrupt();
    Deno.exit(code);
  } catch (error) {
    await leaveToInterrupt();
    const isPlain = [SetUpError, DemoError, TypeError].some((kind) => error instanceof kind);
    const text = error instanceof Error ? isPlain ? error.message : error.stack : String(error);
    process.stderr.write(`\n${text}\n`);
    Deno.exit(1);
  }
}
