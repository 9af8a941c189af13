/** Child processes as they really are: what ends badly is an ExecError that says how. */

import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { ExecError, type ExecFailure, run } from "../../src/kernel/exec/run.ts";

Deno.test("run() gives what a tool printed", async () => {
  const { stdout, stderr } = await run("sh", ["-c", "echo out; echo err >&2"]);
  deepEqual([stdout, stderr], ["out\n", "err\n"]);
});

Deno.test("run() feeds stdin, text and bytes, also more than a pipe holds", async () => {
  const text = "0123456789abcdef".repeat(64 * 1024);
  equal((await run("cat", [], { stdin: text })).stdout, text);
  equal(
    (await run("wc", ["-c"], { stdin: new TextEncoder().encode(text) })).stdout.trim(),
    "1048576",
  );
});

Deno.test("run() hands on arguments as they are", async () => {
  const words = ["a b", "$(id)", "`id`", "; rm", "'\"", "\n", "ü", "-j"];
  equal((await run("printf", ["%s|", ...words])).stdout, words.map((word) => `${word}|`).join(""));
});

const FAILURES: readonly {
  readonly title: string;
  readonly command: readonly [string, ...string[]];
  readonly failure: ExecFailure;
  readonly code?: number;
  readonly message: RegExp;
}[] = [
  {
    title: "ends with an error",
    command: ["sh", "-c", "echo why >&2; exit 3"],
    failure: "exit",
    code: 3,
    message: /^Cannot run "sh -c .*": exit status 3: why$/,
  },
  {
    title: "is not there",
    command: ["vipd-no-such-tool"],
    failure: "not-found",
    message: /^Cannot run "vipd-no-such-tool": not found$/,
  },
  { title: "is killed", command: ["sh", "-c", "kill -9 $$"], failure: "signal", message: /killed/ },
  {
    title: "hangs",
    command: ["sh", "-c", "echo so far >&2; exec sleep 60"],
    failure: "timeout",
    message: /timed out: so far$/,
  },
];

for (const { title, command: [program, ...args], failure, code, message } of FAILURES) {
  Deno.test(`run() of a tool that ${title} throws an ExecError`, async () => {
    const error = await run(program, args, { timeoutMs: 500 }).catch((reason: unknown) => reason);
    ok(error instanceof ExecError, String(error));
    deepEqual([error.failure, error.code], [failure, code]);
    ok(message.test(error.message), error.message);
  });
}

Deno.test("run() of a tool that does not read its input says how the tool ended", async () => {
  const stdin = "x".repeat(1 << 20);
  equal((await run("true", [], { stdin })).stdout, "");
  await rejects(run("sh", ["-c", "echo full >&2; exit 2"], { stdin }), {
    name: "ExecError",
    code: 2,
    stderr: "full",
  });
});

Deno.test("run() ends when its signal aborts", async () => {
  const controller = new AbortController();
  const running = run("sleep", ["60"], { signal: controller.signal });
  const started = performance.now();
  controller.abort();
  await rejects(running);
  ok(performance.now() - started < 5_000);
});

Deno.test("run() leaves no process behind when it times out", async () => {
  await rejects(run("sleep", ["61.25"], { timeoutMs: 200 }));
  const { stdout } = await run("ps", ["-eo", "args"]);
  ok(!stdout.split("\n").includes("sleep 61.25"));
});
