/**
 * What an executable says when its program fails: places in the sources, also after an upgrade has
 * put another file in its place, and also in the one that `deno compile` makes. Makes small
 * executables in a directory for this run.
 *
 *     deno test -A test/packaging/failure_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readBootstrap } from "../../scripts/build/bootstrap.ts";
import { type Bundle, bundle } from "../../scripts/build/bundle.ts";
import { compile, writeSources } from "../../scripts/build/compile.ts";
import { makeExecutable } from "../../scripts/build/executable.ts";
import { readRuntime } from "../../scripts/build/runtime.ts";
import { EXECUTABLE_PERMISSIONS } from "../../scripts/vipd_permissions.ts";
import { ended } from "../support/process.ts";

/** Fails in line 5 with a cause from line 2, when it was told to on its standard input. */
const PROGRAM = `function inner(): never {
  throw new TypeError("the cause");
}
async function outer(): Promise<never> {
  try { inner(); } catch (cause) { throw new Error("the failure", { cause }); }
}
export async function main(): Promise<number> {
  for await (const _ of Deno.stdin.readable) return await outer();
  return 0;
}
`;

/** What must be printed: both errors, each with its place. */
function assertTold(stderr: string): void {
  assert.match(stderr, /^Error: the failure\n\s+at .*src\/late\.ts:5:\d+/);
  assert.match(stderr, /\nCaused by: TypeError: the cause\n\s+at .*src\/late\.ts:2:\d+/);
}

async function withProgram(
  use: (place: { directory: string; program: Bundle }) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "vipd-failure-" });
  try {
    await Deno.mkdir(`${directory}/src`);
    await Deno.writeTextFile(`${directory}/src/late.ts`, PROGRAM);
    await use({ directory, program: await bundle(`${directory}/src/late.ts`) });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function writeExecutable(file: string, program: Bundle): Promise<void> {
  const executable = makeExecutable({
    runtime: await readRuntime("x64"),
    program,
    bootstrap: await readBootstrap("launched"),
    permissions: EXECUTABLE_PERMISSIONS,
    v8Flags: [],
  });
  await Deno.writeFile(file, executable, { mode: 0o755 });
}

Deno.test("a failure names places in the sources after the file was replaced", async () => {
  await withProgram(async ({ directory, program }) => {
    const file = `${directory}/vipd`;
    await writeExecutable(file, program);
    const child = new Deno.Command(file, { stdin: "piped", stderr: "piped", stdout: "null" })
      .spawn();
    await openDescriptor(child.pid, file);
    await Deno.remove(file);
    await Deno.writeTextFile(file, "something else");
    const ending = child.output();
    const writer = child.stdin.getWriter();
    await writer.write(Uint8Array.of(10));
    await writer.close();
    const { code, stderr } = await ending;
    assertTold(new TextDecoder().decode(stderr));
    assert.equal(code, 1);
  });
});

/** Until a process has opened a file. */
async function openDescriptor(pid: number, file: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const names = await Array.fromAsync(Deno.readDir(`/proc/${pid}/fd`), ({ name }) => name);
    const targets = await Promise.all(
      names.map((name) => Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "")),
    );
    if (targets.includes(file)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`Process ${pid} has not opened ${file}`);
}

Deno.test("a failure is told even where the source map cannot be read", async () => {
  await withProgram(async ({ directory, program }) => {
    const file = `${directory}/vipd`;
    await writeExecutable(file, { ...program, map: Uint8Array.of(1, 2, 3) });
    const { code, stderr } = await ended([file], { stdin: "now" });
    assert.match(stderr, /^Error: the failure\n[\s\S]*places are those of the bundle/);
    assert.equal(code, 1);
  });
});

Deno.test("what is given to `deno compile` tells failures in the same way", async () => {
  await withProgram(async ({ directory, program }) => {
    const entry = await writeSources(program, `${directory}/sources`);
    const command = [Deno.execPath(), "run", ...EXECUTABLE_PERMISSIONS, entry];
    const { code, stderr } = await ended(command, { stdin: "now" });
    assertTold(stderr);
    assert.equal(code, 1);
  });
});

/** The base of `deno compile` is not at hand everywhere; any ELF file shows what is put into it. */
Deno.test("`deno compile` makes the same bytes again, with permissions and flags", async () => {
  await withProgram(async ({ directory, program }) => {
    Deno.env.set("DENORT_BIN", Deno.execPath());
    const digests: string[] = [];
    for (const output of [`${directory}/a`, `${directory}/b`]) {
      const permissions = EXECUTABLE_PERMISSIONS;
      const v8Flags = ["--max-semi-space-size=2"];
      await compile({ machine: "x64", program, permissions, v8Flags, output });
      const bytes = await Deno.readFile(output);
      digests.push(createHash("sha256").update(bytes).digest("hex"));
      const text = new TextDecoder("latin1").decode(bytes.subarray(-1_000_000));
      assert.match(text, /"allow_sys":\["hostname","networkInterfaces"\]/);
      assert.match(text, /"--max-semi-space-size=2"/);
      assert.match(text, /vipd\.map\.gz/);
    }
    assert.equal(digests[0], digests[1]);
  });
});
