/**
 * The log of a process: where a line comes from, and what happens when it cannot be written.
 *
 *     deno test -A test/contract/log_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import { ended, type Result } from "../support/process.ts";

const SINK = new URL("../../src/log_sink.ts", import.meta.url).href;

const PROGRAM = `import { openLog } from "${SINK}";
const log = openLog({ format: "text", verbosity: 2 });
log.info("one");
log.v(2, "two");
console.log("alive");
`;

/** Runs {@linkcode PROGRAM} in a file `speaker.ts`, as a part of a shell's command. */
async function run(shellCommand: (command: string) => string): Promise<Result> {
  const directory = await Deno.makeTempDir({ prefix: "vipd-log-" });
  try {
    const file = `${directory}/speaker.ts`;
    await Deno.writeTextFile(file, PROGRAM);
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const command = `${Deno.execPath()} run -A --quiet --no-check --config=${config} ${file}`;
    return await ended(["sh", "-c", shellCommand(command)]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("a line names the place that logs it", async () => {
  const { stderr } = await run((command) => command);
  assert.match(stderr, /^I\d{4} [\d:.]+ +\d+ speaker\.ts:3\] "one"\n/);
  assert.match(stderr, /\nI\d{4} [\d:.]+ +\d+ speaker\.ts:4\] "two"\n$/);
});

const UNWRITABLE = [
  ["the disk is full", (command: string) => `${command} 2>/dev/full`],
  ["the reader is gone", (command: string) => `{ ${command} 2>&1 1>&3 | true; } 3>&1`],
] as const;
for (const [what, shellCommand] of UNWRITABLE) {
  Deno.test(`a log that cannot be written ends nothing: ${what}`, async () => {
    const { stdout } = await run(shellCommand);
    assert.equal(stdout, "alive\n");
  });
}
