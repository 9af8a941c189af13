/**
 * Signals to the executable: those that end it do so with status 0, others leave it at work, and
 * SIGUSR1, to which the runtime would open its inspector, is thrown away by the kernel. Needs root
 * and dist/vipd (`deno task build`).
 *
 *     deno test -A test/packaging/signals_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import { openNetwork } from "../support/netns.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const COMMAND = [
  ...[`${ROOT}dist/vipd`, `--manifests=${ROOT}examples`, "--hostname-override=node-a"],
  ...["--cluster-cidr=10.244.0.0/16", "--conntrack-max-per-core=0"],
];
/** How long the runtime may listen for SIGUSR1 before it is told not to. */
const MAX_LISTENING_MS = 150;
const WATCHED_MS = 2_000;
const SIGUSR1_BIT = 0x200n;

interface Running {
  readonly pid: number;
  readonly child: Deno.ChildProcess;
  ready(): Promise<void>;
}

async function withVipd(use: (running: Running) => Promise<void>): Promise<void> {
  await using network = await openNetwork({ tag: "vsig", namespaces: ["node"] });
  const namespace = network.name("node");
  const child = new Deno.Command("ip", {
    args: ["netns", "exec", namespace, ...COMMAND],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const lines = child.stderr.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  let text = "";
  const ready = async () => {
    while (!text.includes("Ready: ")) {
      const { value, done } = await lines.next();
      if (done) throw new Error(text);
      text += value;
    }
  };
  try {
    await use({ pid: child.pid, child, ready });
  } finally {
    if (await isRunning(child.pid)) child.kill("SIGKILL");
    await lines.return?.();
    await child.status;
  }
}

async function statusOf(pid: number): Promise<string> {
  return await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
}

async function isRunning(pid: number): Promise<boolean> {
  return /^State:\s+[^Z]/m.test(await statusOf(pid));
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} ends vipd with status 0`, async () => {
    await withVipd(async ({ child, ready }) => {
      await ready();
      child.kill(signal);
      assert.equal((await child.status).code, 0);
    });
  });
}

Deno.test("SIGHUP leaves vipd at work", async () => {
  await withVipd(async ({ pid, child, ready }) => {
    await ready();
    child.kill("SIGHUP");
    await pause(300);
    assert.ok(await isRunning(pid));
  });
});

Deno.test("the inspector of the runtime has no signal to wait for", async () => {
  await withVipd(async ({ pid, ready }) => {
    let listeningMs = 0;
    let before = performance.now();
    const end = before + WATCHED_MS;
    while (before < end) {
      await pause(5);
      const caught = BigInt(`0x${/^SigCgt:\s+(\S+)/m.exec(await statusOf(pid))?.[1] ?? "0"}`);
      const now = performance.now();
      if ((caught & SIGUSR1_BIT) !== 0n) listeningMs += now - before;
      before = now;
    }
    await ready();
    assert.ok(listeningMs < MAX_LISTENING_MS, `it listened for ${listeningMs} ms`);
    const ignored = /^SigIgn:\s+(\S+)/m.exec(await statusOf(pid))?.[1] ?? "0";
    assert.notEqual(BigInt(`0x${ignored}`) & SIGUSR1_BIT, 0n);
  });
});

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
