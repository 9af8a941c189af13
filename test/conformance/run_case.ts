/**
 * One case in one mode: a fresh node, an API server, vipd, and after each step the question whether
 * the kernel holds what was captured, and goes on holding it.
 *
 *     outside (this process)                        node
 *     API server 192.168.77.1:6443  h0 ------- n0   192.168.77.2/24, fd00:77::2/64
 *                fd00:77::1                         default routes by h0
 *
 * @module
 */

import { ended } from "../support/process.ts";
import { HERE, type Network, openNetwork } from "../support/netns.ts";
import { type ApiServer, startApiServer } from "../support/apiserver/mod.ts";
import type { JsonObject } from "../support/apiserver/json.ts";
import { eventually, getOnce, runVipd, Vipd, type VipdOptions } from "../support/vipd.ts";
import type { Case, Mode, State, Step } from "./cases.ts";
import { expectedState } from "./decisions.ts";
import { dumpState, PLAN, readSysctls } from "./dump.ts";

/** How patient to be. */
export interface Patience {
  /** For a state to be reached. */
  readonly reachMs: number;
  /** How long vipd has nothing to do before it is believed, or a state reached later stays. */
  readonly stayMs: number;
}

/** How a case is run. */
export interface CaseOptions {
  readonly mode: Mode;
  /** PATH of the node's commands and of vipd. */
  readonly path: string | undefined;
  readonly patience: Patience;
  /** For logs; exists. */
  readonly directory: string;
}

/** How one step went. */
export interface StepResult {
  readonly case: string;
  readonly mode: Mode;
  readonly step: string;
  readonly title: string;
  readonly ms: number;
  /** Files that are expected as vipd decides, not as captured. */
  readonly own: readonly string[];
  /** "" when all is as expected. */
  readonly failure: string;
}

/** Runs all steps; a step that fails does not end the case. */
export async function* runCase(tested: Case, options: CaseOptions): AsyncGenerator<StepResult> {
  await using room = await openRoom(tested, options);
  let hasFailed = false;
  for (const step of tested.steps) {
    const started = performance.now();
    // What follows a failure is shown, but not waited for.
    const patience = hasFailed ? { ...options.patience, reachMs: 1_500 } : options.patience;
    const { own, failure } = await runStep(room, step, patience);
    hasFailed ||= failure !== "";
    yield {
      case: tested.name,
      mode: options.mode,
      step: step.number,
      title: step.title,
      ms: Math.round(performance.now() - started),
      own,
      failure,
    };
  }
}

/** What stands during a case, and what changes. */
interface Room extends AsyncDisposable {
  readonly tested: Case;
  readonly options: CaseOptions;
  readonly network: Network;
  readonly server: ApiServer;
  readonly kubeconfig: string;
  readonly env: Readonly<Record<string, string>>;
  readonly sysctls: ReadonlyMap<string, string>;
  config: JsonObject;
  mode: Mode;
  vipd: Vipd | undefined;
}

async function openRoom(tested: Case, options: CaseOptions): Promise<Room> {
  const stack = new AsyncDisposableStack();
  const network = stack.use(await openNode());
  const server = stack.use(
    await startApiServer({
      host: PLAN.outside[0],
      port: 6443,
      validate: false,
      bootstrap: false,
    }),
  );
  const files = await server.writeFiles(`${options.directory}/credentials`);
  const room: Room = {
    tested,
    options,
    network,
    server,
    kubeconfig: files["proxy.kubeconfig"] ?? "",
    // A lock of its own: that of the host is also that of whatever else runs there.
    env: {
      XTABLES_LOCKFILE: `${options.directory}/xtables.lock`,
      ...(options.path !== undefined && { PATH: options.path }),
    },
    sysctls: await readSysctls((script) => network.sh("node", script)),
    config: tested.config,
    mode: options.mode,
    vipd: undefined,
    async [Symbol.asyncDispose]() {
      await room.vipd?.end("SIGKILL");
      await stack.disposeAsync();
    },
  };
  return room;
}

async function openNode(): Promise<Network> {
  const [v4, v6] = PLAN.outside;
  return await openNetwork({
    tag: "vcf",
    namespaces: ["node"],
    links: [[
      { in: HERE, device: "h0", addresses: [`${v4}/24`, `${v6}/64`] },
      { in: "node", device: "n0", addresses: PLAN.node.map((a) => a + (isV6(a) ? "/64" : "/24")) },
    ]],
    routes: { node: [`default via ${v4}`, `default via ${v6}`] },
    sysctls: {
      node: {
        "ipv4/ip_forward": "0",
        "ipv4/conf/all/route_localnet": "0",
        "ipv4/conf/all/arp_ignore": "0",
        "ipv4/conf/all/arp_announce": "0",
      },
    },
  });
}

function isV6(address: string): boolean {
  return address.includes(":");
}

interface StepOutcome {
  readonly own: readonly string[];
  readonly failure: string;
}

async function runStep(room: Room, step: Step, patience: Patience): Promise<StepOutcome> {
  const { own, state, problems } = expectedState(room.tested.name, {
    mode: room.options.mode,
    number: step.number,
  });
  try {
    await perform(room, step);
    const failure = await compareState(room, { expected: state, patience });
    return { own, failure: [...problems, ...(failure === "" ? [] : [failure])].join("\n") };
  } catch (error) {
    return { own, failure: `${error}\n${await tail(room)}` };
  }
}

async function perform(room: Room, step: Step): Promise<void> {
  const { action } = step;
  room.mode = step.mode ?? room.mode;
  room.config = { ...room.config, ...step.config };
  if (action === "kill") await room.vipd?.end("SIGKILL");
  if (["stop", "restart", "cleanup"].includes(action)) await room.vipd?.end("SIGTERM");
  for (const command of step.run) {
    await room.network.sh("node", command, { env: room.env });
  }
  for (const reference of step.delete) room.server.delete(reference);
  room.server.seed(...step.apply);
  if (action === "start" || action === "restart") {
    room.vipd = await Vipd.start(vipdOptions(room));
    await eventually("vipd is ready", () => isReady(room), { timeoutMs: 60_000 });
  }
  if (action === "cleanup") await runVipd({ ...vipdOptions(room), args: ["--cleanup"] });
}

function vipdOptions(room: Room): VipdOptions {
  const { network, env, options, config, mode, kubeconfig } = room;
  return {
    network,
    namespace: "node",
    directory: options.directory,
    env,
    args: ["-v=2"], // with --config only some flags count; this one does
    config: {
      ...config,
      mode,
      clientConnection: { kubeconfig },
      metricsBindAddress: "127.0.0.1:10249",
      healthzBindAddress: "0.0.0.0:10256",
      ...nftablesWriter(),
    },
  };
}

/** VIPD_NFTABLES_WRITER=nft runs the suite with the nft tool in place of netlink. */
function nftablesWriter(): { readonly vipd?: object } {
  const writer = Deno.env.get("VIPD_NFTABLES_WRITER");
  return writer === undefined ? {} : { vipd: { nftables: { writer } } };
}

async function isReady({ vipd }: Room): Promise<true | undefined> {
  if (vipd?.status !== undefined) throw new Error(`vipd ended with ${vipd.status.code}`);
  const answer = await getOnce(`http://${PLAN.node[0]}:10256/readyz`);
  return answer?.status === 200 ? true : undefined;
}

/** "" when the state is reached and stays; else the differences last seen. */
async function compareState(
  room: Room,
  { expected, patience }: { expected: State; patience: Patience },
): Promise<string> {
  const deadline = performance.now() + patience.reachMs;
  await becomesQuiet(room, patience);
  if (isEqual(expected, await dump(room))) return "";
  let reachedAt: number | undefined;
  for (let pauseMs = 30;; pauseMs = Math.min(pauseMs * 2, 500)) {
    const state = await dump(room);
    const now = performance.now();
    if (isEqual(expected, state)) {
      reachedAt ??= now;
      if (now - reachedAt >= patience.stayMs) return "";
    } else {
      if (now > deadline) {
        return `${await showDifferences(room, { expected, state })}${await tail(room)}`;
      }
      reachedAt = undefined;
    }
    await new Promise((resolve) =>
      setTimeout(resolve, reachedAt === undefined ? pauseMs : patience.stayMs)
    );
  }
}

/** Waits until vipd has had nothing to log for a while: it logs every sync. */
async function becomesQuiet({ vipd }: Room, { reachMs, stayMs }: Patience): Promise<void> {
  if (vipd === undefined) return;
  const deadline = performance.now() + reachMs;
  let [size, since] = [-1, 0];
  while (performance.now() < deadline) {
    const now = performance.now();
    const { size: logged } = await Deno.stat(vipd.logFile);
    if (logged !== size) [size, since] = [logged, now];
    else if (now - since >= stayMs) return;
    await new Promise((resolve) => setTimeout(resolve, stayMs / 8));
  }
}

async function dump({ network, server, sysctls, tested, options, env }: Room): Promise<State> {
  return await dumpState({
    sh: (script) => network.sh("node", script, { env }),
    mode: options.mode,
    conntrack: tested.conntrack,
    sysctls,
    services: server.list("v1", "Service"),
  });
}

function isEqual(expected: State, state: State): boolean {
  return expected.size === state.size &&
    [...expected].every(([file, text]) => state.get(file) === text);
}

const SHOWN_LINES = 30;

async function showDifferences(
  { options }: Room,
  { expected, state }: { expected: State; state: State },
): Promise<string> {
  const parts: string[] = [];
  for (const file of new Set([...expected.keys(), ...state.keys()])) {
    const [want, have] = [expected.get(file) ?? "", state.get(file) ?? ""];
    if (want === have) continue;
    const base = `${options.directory}/${file}`;
    await Deno.writeTextFile(`${base}.expected`, want);
    await Deno.writeTextFile(`${base}.found`, have);
    const { stdout } = await ended(["diff", "-U1", `${base}.expected`, `${base}.found`]);
    const lines = stdout.split("\n").slice(2);
    parts.push(`${file} (- expected, + found)`, ...lines.slice(0, SHOWN_LINES));
    if (lines.length > SHOWN_LINES) parts.push(`... ${lines.length - SHOWN_LINES} more lines`);
  }
  return `${parts.join("\n")}\n`;
}

async function tail({ vipd }: Room): Promise<string> {
  return vipd ? `log of vipd, last lines:\n${await vipd.logTail(12)}` : "vipd was not started";
}
