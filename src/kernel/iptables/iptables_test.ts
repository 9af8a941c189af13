import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { ExecError, type Run, type RunOptions } from "../exec/run.ts";
import { LockBusyError, RestoreError } from "./errors.ts";
import { isMissingTool, openIptables } from "./iptables.ts";

interface Call {
  readonly command: string;
  readonly args: readonly string[];
  readonly stdin?: RunOptions["stdin"];
}

/** Answers of tools, by their name. */
function tools(
  answers: Readonly<Record<string, string | ExecError>>,
): { run: Run; calls: Call[] } {
  const calls: Call[] = [];
  const run: Run = (command, args, options) => {
    calls.push({ command, args, ...options?.stdin === undefined ? {} : { stdin: options.stdin } });
    const answer = answers[command] ?? "";
    if (answer instanceof ExecError) return Promise.reject(answer);
    return Promise.resolve({ stdout: answer, stderr: "" });
  };
  return { run, calls };
}

Deno.test("openIptables() restores with lock, without flushing, with counters", async () => {
  const { run, calls } = tools({ "ip6tables": "ip6tables v1.8.9 (legacy)" });
  const iptables = await openIptables("IPv6", { run });
  strictEqual(iptables.version.variant, "legacy");
  await iptables.restore("*nat\nCOMMIT\n");
  deepStrictEqual(calls.at(-1), {
    command: "ip6tables-restore",
    args: ["-w", "5", "--noflush", "--counters"],
    stdin: "*nat\nCOMMIT\n",
  });
});

Deno.test("openIptables() does not ask old tools to wait for the lock", async () => {
  const { run, calls } = tools({ "iptables": "iptables v1.4.21" });
  await (await openIptables("IPv4", { run })).restore("");
  deepStrictEqual(calls.at(-1)?.args, ["--noflush", "--counters"]);
});

Deno.test("save() reads one table or all", async () => {
  const { run, calls } = tools({
    "iptables": "iptables v1.8.9 (nf_tables)",
    "iptables-save": "*nat\n:A - [0:0]\n-A A -j RETURN\nCOMMIT\n",
  });
  const iptables = await openIptables("IPv4", { run });
  deepStrictEqual((await iptables.save()).get("nat")?.get("A"), ["-j RETURN"]);
  await iptables.save("mangle");
  deepStrictEqual(calls.slice(1).map(({ args }) => args), [[], ["-t", "mangle"]]);
});

Deno.test("openIptables() says how to get missing tools", async () => {
  const { run } = tools({ "iptables": new ExecError("iptables", { failure: "not-found" }) });
  const error: unknown = await openIptables("IPv4", { run }).catch((reason) => reason);
  ok(isMissingTool(error));
  ok(error instanceof Error && error.message.includes("apt-get install iptables"));
});

const FAILURES = [
  ["a refused line", { code: 1, stderr: "iptables-restore: line 1 failed" }, RestoreError],
  ["a busy lock", { code: 4, stderr: "holding the xtables lock" }, LockBusyError],
] as const;

for (const [what, fields, want] of FAILURES) {
  Deno.test(`restore() rejects with ${want.name} for ${what}`, async () => {
    const { run } = tools({
      "iptables": "iptables v1.8.9 (legacy)",
      "iptables-restore": new ExecError("iptables-restore", { failure: "exit", ...fields }),
    });
    const iptables = await openIptables("IPv4", { run });
    await rejects(iptables.restore("*nat\nCOMMIT\n"), want);
  });
}
