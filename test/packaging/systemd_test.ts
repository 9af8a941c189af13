/**
 * vipd under a real systemd: the unit, its watchdog, and the way from kube-proxy to vipd and back
 * under traffic, with what systemd-analyze says. Needs root, systemd, user-mode-linux and dist/vipd (`deno task build`).
 *
 *     deno test -A test/packaging/systemd_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import { unitText } from "../../src/cli/unit.ts";
import { ended } from "../support/process.ts";
import { bootUml } from "../uml/boot.ts";
import { takeOverSteps } from "./systemd_take_over.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const HERE = `${ROOT}test/packaging`;
const VIPD = `${ROOT}dist/vipd`;
const MAX_EXPOSURE = 4.0;

/** What systemd_checks.sh must print, in this order. */
const STEPS = [
  "systemd is up",
  "kube-proxy runs",
  "ready after the first sync",
  "kube-proxy was stopped",
  "READY follows the sync",
  "rules are written",
  "check agrees",
  "killed, it starts again",
  "ready again",
  "another process",
  "the watchdog starts it again",
  "ready a third time",
  "rules stayed the same",
  "the unit is gone",
  "the program is gone",
  "kube-proxy is back",
  "rules stay",
  "end",
];

Deno.test("packaging/vipd.service is the unit that `vipd install` writes", async () => {
  const packaged = await Deno.readTextFile(`${ROOT}packaging/vipd.service`);
  assert.equal(packaged, unitText("/usr/sbin/vipd"));
});

Deno.test("systemd-analyze verifies the unit and calls its exposure low", async () => {
  const directory = await Deno.makeTempDir({ prefix: "vipd-unit-" });
  try {
    const unit = `${directory}/vipd.service`;
    await Deno.writeTextFile(unit, unitText("/bin/true"));
    const verified = await ended(["systemd-analyze", "verify", "--man=no", unit]);
    // Complaints about other units of this machine are not ours.
    assert.doesNotMatch(verified.stderr, /vipd\.service/);
    assert.equal(verified.code, 0);
    const security = await ended(["systemd-analyze", "security", "--offline=true", unit]);
    const exposure = Number(/exposure level for \S+: ([\d.]+)/.exec(security.stdout)?.[1]);
    assert.ok(exposure < MAX_EXPOSURE, `exposure is ${exposure}`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("vipd is installed, watched, restarted and removed by systemd", async () => {
  await Deno.stat(VIPD);
  const { code, output } = await bootUml({
    script:
      `exec bash ${HERE}/systemd_boot.sh bash ${HERE}/systemd_checks.sh ${VIPD} ${ROOT}examples`,
    timeoutMs: 400_000,
  });
  assert.deepEqual(stepsIn(output), STEPS, endOf(output));
  assert.equal(code, 0, endOf(output));
});

for (const mode of ["iptables", "ipvs"] as const) {
  Deno.test(`vipd takes over from kube-proxy in mode ${mode}, and gives back`, async () => {
    await Deno.stat(VIPD);
    const deno = `${Deno.execPath()} run --no-check --cached-only -A`;
    const { code, output } = await bootUml({
      script:
        `exec bash ${HERE}/systemd_boot.sh ${deno} ${HERE}/systemd_take_over.ts ${VIPD} ${mode}`,
      timeoutMs: 900_000,
      memory: "2G",
    });
    assert.deepEqual(stepsIn(output), takeOverSteps(mode), endOf(output));
    assert.equal(code, 0, endOf(output));
  });
}

function stepsIn(output: string): readonly string[] {
  return output.split("\n").flatMap((line) => line.startsWith("ok ") ? [line.slice(3)] : []);
}

/** From the step that failed; systemd says much before. */
function endOf(output: string): string {
  const failed = output.search(/^failed/m);
  return failed < 0 ? output.split("\n").slice(-60).join("\n") : output.slice(failed);
}
