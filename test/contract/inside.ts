/**
 * Tests that change the kernel run where nobody else is: a test file starts itself again inside
 * of a network namespace of its own, or inside of user-mode-linux, and counts as one test outside.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { ended } from "../support/process.ts";
import { bootUml } from "../uml/boot.ts";

const INSIDE = "VIPD_TEST_INSIDE";
/** Set to see the tests inside also when they pass. */
const SHOW = "VIPD_TEST_SHOW";

/** Defines the tests of a file, given by its `import.meta.url`, in a network namespace. */
export function inNamespace(url: string, define: () => void): void {
  const file = fileURLToPath(url);
  if (Deno.env.get(INSIDE) === file) return define();
  Deno.test(`${basename(file)}, in a network namespace of its own`, async () => {
    const { code, stdout, stderr } = await ended(
      [
        ...["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"],
        ...[Deno.execPath(), "test", "--allow-all", "--no-check", file],
      ],
      { env: { [INSIDE]: file, NO_COLOR: "1" }, timeoutMs: 120_000 },
    );
    judge(code, stdout + stderr);
  });
}

/** Defines the tests of a file in a kernel of its own. */
export function inUml(url: string, define: () => void): void {
  const file = fileURLToPath(url);
  if (Deno.env.get(INSIDE) === file) return define();
  Deno.test(`${basename(file)}, in user-mode-linux`, async () => {
    const { code, output } = await bootUml({
      script: `exec ${Deno.execPath()} test --allow-all --no-check ${file}`,
      env: { [INSIDE]: file, NO_COLOR: "1" },
      timeoutMs: 240_000,
    });
    judge(code, output);
  });
}

function judge(code: number, output: string): void {
  equal(code, 0, output);
  if (Deno.env.has(SHOW)) Deno.stdout.writeSync(new TextEncoder().encode(output));
}
