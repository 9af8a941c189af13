/**
 * Flow tests of one mode, in a namespace of their own:
 *
 *     deno run -A test/e2e/run.ts [--mode iptables] [--filter TEXT] [FILE...]
 *
 * The namespace is what is outside of the node. Mode ipvs runs in user-mode-linux unless the
 * kernel has IPVS. Needs root. Exit status and output are those of `deno test`.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { ended } from "../support/process.ts";
import { openNetwork } from "../support/netns.ts";
import { bootUml } from "../uml/boot.ts";

const DIRECTORY = new URL(".", import.meta.url).pathname;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      mode: { type: "string", default: "iptables" },
      filter: { type: "string" },
    },
  });
  const { mode, filter } = values;
  if (mode === "ipvs" && !await hasIpvs()) return await runInUml();
  const files = positionals.length > 0 ? positionals : await testFiles();
  const codes: number[] = [];
  const lane = async (): Promise<void> => {
    for (let file = files.shift(); file !== undefined; file = files.shift()) {
      codes.push(await runFile(file, { mode, filter }));
    }
  };
  const isLone = Deno.env.get("VIPD_LANES") === "1";
  await Promise.all([lane(), ...(isLone ? [] : [lane()])]); // most of their time they wait
  return codes.some((code) => code !== 0) ? 1 : 0;
}

/** One file in a namespace of its own; prints what it has to say after its end. */
async function runFile(
  file: string,
  { mode, filter }: { readonly mode: string; readonly filter: string | undefined },
): Promise<number> {
  await using network = await openNetwork({ tag: "vfl", namespaces: ["outside"] });
  const outside = network.name("outside");
  // Not `ip netns exec`: namespaces made in its mount namespace could not be seen from outside.
  const child = new Deno.Command("nsenter", {
    args: [
      `--net=/run/netns/${outside}`,
      ...[Deno.execPath(), "test", "-A", "--no-check", "--cached-only"],
      ...(filter === undefined ? [] : ["--filter", filter]),
      file,
    ],
    env: { VIPD_MODE: mode, VIPD_OUTSIDE: outside, NO_COLOR: "1" },
    stdin: "null",
  });
  const { code, stdout, stderr } = await child.output();
  for (const bytes of [stdout, stderr]) process.stdout.write(bytes);
  return code;
}

async function testFiles(): Promise<string[]> {
  const files = await Array.fromAsync(Deno.readDir(DIRECTORY));
  return files.map(({ name }) => name).filter((name) => name.endsWith("_test.ts"))
    .sort().map((name) => `${DIRECTORY}${name}`);
}

async function hasIpvs(): Promise<boolean> {
  const probe = "modprobe -q ip_vs 2>/dev/null; [ -e /proc/net/ip_vs ]";
  return (await ended(["sh", "-c", probe])).code === 0;
}

async function runInUml(): Promise<number> {
  const words = [Deno.execPath(), "run", "-A", "--no-check", "--cached-only"];
  const { code } = await bootUml({
    timeoutMs: 20 * 60_000,
    memory: "2G",
    onLine: (line) => process.stdout.write(`${line}\n`),
    script: `
      modprobe -a ip_vs ip_vs_rr ip_vs_sh dummy nf_conntrack nf_conntrack_netlink nfnetlink_acct \\
        ip_set veth bridge
      mkdir /run/legacy && for t in iptables ip6tables; do for s in "" -save -restore; do
        ln -s /usr/sbin/xtables-legacy-multi /run/legacy/$t$s; done; done
      export PATH=/run/legacy:$PATH VIPD_LANES=1
      exec ${[...words, new URL(import.meta.url).pathname, ...Deno.args].join(" ")}`,
  });
  return code;
}

process.exitCode = await main();
