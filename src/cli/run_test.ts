import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { ManualClock } from "../../test/support/manual_clock.ts";
import type { Fields } from "../log.ts";
import { runCommand, type Surroundings } from "./run.ts";

/** A process without a machine: what it printed and logged. */
class FakeProcess {
  stdout = "";
  stderr = "";
  readonly errors: string[] = [];
  readonly warnings: string[] = [];
  readonly files: Readonly<Record<string, string>>;

  constructor(files: Readonly<Record<string, string>> = {}) {
    this.files = files;
  }

  run(...args: readonly string[]): Promise<number> {
    const keep = (lines: string[]) => (message: string, fields: Fields = {}) => {
      const values = Object.values(fields).map((value) =>
        value instanceof Error ? value.message : JSON.stringify(value)
      );
      lines.push([message, ...values].join(" "));
    };
    const unused = () => {
      throw new Error("not reached");
    };
    const surroundings: Surroundings = {
      host: {
        sysctls: { read: unused, ensure: unused },
        cpuCount: unused,
        hasIpv6: unused,
        setOomScoreAdj: unused,
        conntrackHashSize: unused,
        setConntrackHashSize: unused,
      },
      listHostAddresses: unused,
      listen: unused,
      openConntrack: unused,
      environment: {},
      clock: new ManualClock(),
      onReady: unused,
      signal: AbortSignal.timeout(60_000),
      hostname: () => "Node-A",
      readTextFile: (path) => {
        const text = this.files[path];
        return text === undefined
          ? Promise.reject(new Error("no such file"))
          : Promise.resolve(text);
      },
      openLog: () => ({
        error: keep(this.errors),
        warn: keep(this.warnings),
        info: () => {},
        v: () => {},
      }),
      print: (text) => void (this.stdout += text),
      printError: (text) => void (this.stderr += text),
    };
    return runCommand(args, surroundings);
  }
}

const HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

Deno.test("runCommand() prints help and version to stdout and exits 0 (CLI-02, CLI-04)", async () => {
  for (
    const [flag, want] of [["--help", /^vipd .*Usage:/s], ["--version", /^Kubernetes v1/]] as const
  ) {
    const process = new FakeProcess();
    strictEqual(await process.run(flag), 0);
    match(process.stdout, want);
    strictEqual(process.stderr, "");
  }
});

const BAD_COMMAND_LINES: readonly (readonly [string, RegExp])[] = [
  ["--nonsense", /^Error: --nonsense: unknown flag\n/],
  ["serve", /^Error: vipd: Invalid value: \["serve"\]: takes no arguments/],
  ["--oom-score-adj=x", /^Error: --oom-score-adj: Invalid value: "x"/],
];

for (const [line, message] of BAD_COMMAND_LINES) {
  Deno.test(`runCommand() of ${line} prints why and exits 1 (CLI-01, CLI-02)`, async () => {
    const process = new FakeProcess();
    strictEqual(await process.run(line), 1);
    match(process.stderr, message);
    strictEqual(process.stdout, "");
  });
}

const BAD_FILES: readonly (readonly [string, string | undefined, RegExp])[] = [
  ["a missing file", undefined, /--config: Invalid value: "c.yaml": cannot be read: no such file/],
  ["bad YAML", "a: [", /c\.yaml: not valid YAML: .*line 1/],
  ["a wrong kind", "kind: Pod", /apiVersion: .*kind: Invalid value: "Pod"/],
  ["a wrong type", `${HEAD}mode: [ipvs]`, /mode: Invalid value: \["ipvs"\]: must be a string/],
  ["a wrong value", `${HEAD}mode: userspace`, /Mode\.ProxyMode: Invalid value: "userspace"/],
];

for (const [what, text, message] of BAD_FILES) {
  Deno.test(`runCommand() with ${what} logs path and value and exits 1 (CLI-05)`, async () => {
    const process = new FakeProcess(text === undefined ? {} : { "c.yaml": text });
    strictEqual(await process.run("--config=c.yaml"), 1);
    strictEqual(process.errors.length, 1);
    match(process.errors[0] ?? "", /^command failed /);
    match(process.errors[0] ?? "", message);
  });
}

Deno.test("runCommand() warns of unknown fields and goes on (CLI-17)", async () => {
  const process = new FakeProcess({ "c.yaml": `${HEAD}new: 1\n` });
  strictEqual(await process.run("--config=c.yaml", "--write-config-to=x"), 1);
  deepStrictEqual(process.warnings.length, 1);
  ok(process.warnings[0]?.includes('unknown field \\"new\\"'));
});
