/**
 * Mode ipvs where the kernel has no IPVS: the same demo inside user-mode-linux.
 *
 * @module
 */

import { bootUml } from "../../test/uml/boot.ts";
import { ended } from "../../test/support/process.ts";
import type { Screen } from "./screen.ts";

/** Whether this kernel has IPVS; loads it where it is a module. */
export async function hasIpvs(): Promise<boolean> {
  const { code } = await ended(["sh", "-c", "modprobe -q ip_vs; [ -e /proc/net/ip_vs ]"]);
  return code === 0;
}

/** Runs the demo inside. True when all was as expected. */
export async function runInUml(screen: Screen): Promise<boolean> {
  screen.line("  this kernel has no IPVS: the rest runs in user-mode-linux, slowly");
  screen.busy("booting");
  const main = new URL("main.ts", import.meta.url).pathname;
  const { code } = await bootUml({
    script: `exec '${Deno.execPath()}' run --no-check --cached-only -A '${main}' --mode ipvs`,
    memory: "3G",
    timeoutMs: 180_000,
    env: { VIPD_DEMO_INSIDE: "1", ...(Deno.stdout.isTerminal() && { VIPD_DEMO_COLOUR: "1" }) },
    onLine: (line) => {
      if (!line.startsWith("sysrq:")) screen.line(line); // the kernel's own last word
    },
  });
  return code === 0;
}
