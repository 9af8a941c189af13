/**
 * The demo as a user sees it: it succeeds, fits on the terminal, fails when it should, and leaves
 * nothing behind, however it ends. Needs root.
 *
 * @module
 */

import { deepStrictEqual, equal, match, ok } from "node:assert/strict";
import { ended, spawn } from "../support/process.ts";
import { bootUml } from "../uml/boot.ts";

const DEMO = [
  ...[Deno.execPath(), "run", "--no-check", "-A"],
  new URL("../../scripts/demo/main.ts", import.meta.url).pathname,
];

/** Namespaces and directories of demos. */
async function leftovers(): Promise<string[]> {
  const { stdout } = await ended([
    "sh",
    "-c",
    "ls -d /run/netns/vipd-demo-* /tmp/vipd-demo-* || :",
  ]);
  return stdout.split("\n").filter((line) => line !== "");
}

for (const mode of ["iptables", "nftables"]) {
  Deno.test(`demo: mode ${mode} ends well, in 80 columns, and leaves nothing`, async () => {
    const before = await leftovers();
    const { code, stdout, stderr } = await ended([...DEMO, "--mode", mode], {
      env: { NO_COLOR: "1" },
      timeoutMs: 120_000,
    });
    equal(code, 0, `${stdout}${stderr}`);
    const lines = stdout.trimEnd().split("\n");
    deepStrictEqual(lines.filter((line) => line.length > 80), []);
    const [, good, all, seconds] =
      /^(\d+) of (\d+) as expected, (.*) s$/.exec(lines.at(-1) ?? "") ??
        [];
    equal(good, all);
    ok(Number(all) >= 24, stdout);
    ok(Number(seconds) < 30, `${seconds} s`);
    ok(!stdout.includes("\x1b"), "no colour into a pipe");
    deepStrictEqual(await leftovers(), before);
  });
}

Deno.test("demo: a vipd that does not start is shown by its log, and all is removed", async () => {
  const before = await leftovers();
  const broken = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(broken, "#!/bin/sh\necho 'no luck today'; exit 3\n");
    await Deno.chmod(broken, 0o755);
    const { code, stderr } = await ended(DEMO, { env: { VIPD: broken } });
    equal(code, 1);
    match(stderr, /Cannot start vipd.*\nno luck today/);
  } finally {
    await Deno.remove(broken);
  }
  deepStrictEqual(await leftovers(), before);
});

Deno.test("demo: an interrupt in the middle removes all", async () => {
  const before = await leftovers();
  const child = spawn(DEMO, { stdout: "piped", stderr: "null", stdin: "null" });
  let text = "";
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.includes("ClusterIP UDP") && !text.includes("Interrupted")) child.kill("SIGINT");
  }
  equal((await child.status).code, 130);
  match(text, /Interrupted/);
  deepStrictEqual(await leftovers(), before);
});

Deno.test("demo: --keep leaves it running, --stop ends it", async () => {
  const before = await leftovers();
  const kept = await ended([...DEMO, "--keep"], { timeoutMs: 120_000 });
  try {
    equal(kept.code, 0, kept.stdout);
    const [command = ""] = /ip netns exec \S+-web-1 curl .*$/m.exec(kept.stdout) ?? [];
    const answer = await ended(["sh", "-c", command]);
    match(answer.stdout, /"by":"web-\d"/);
  } finally {
    equal((await ended([...DEMO, "--stop"])).code, 0);
  }
  const { stdout } = await ended(["sh", "-c", "pgrep -fa '[v]ipd-demo-.*kube-proxy.yaml' || :"]);
  equal(stdout, "");
  deepStrictEqual(await leftovers(), before);
});

Deno.test("demo: in user-mode-linux it leaves alone what runs on the host", async () => {
  const directory = await Deno.makeTempDir({ prefix: `vipd-demo-${Deno.pid}-` });
  try {
    const { code, output } = await bootUml({ script: `${DEMO.join(" ")} --stop` });
    equal(code, 0, output);
    await Deno.stat(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("demo: says how it is used", async () => {
  const { code, stderr } = await ended([...DEMO, "--mode", "ebpf"]);
  equal(code, 1);
  match(stderr, /Usage: deno task demo/);
});
