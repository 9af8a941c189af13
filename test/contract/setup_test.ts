/**
 * The set-up step: what it does on a machine that lacks something, is offline, is not root's, or
 * has a poor kernel. A package is made to be missing by an overlay in a mount namespace of the
 * test's own; apt-get is a stand-in that writes down how it is called. Needs root.
 *
 * @module
 */

import { equal, match, ok } from "node:assert/strict";
import { readIfThere } from "../support/files.ts";
import { ended, type Result } from "../support/process.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Hides /usr/sbin/ipset, then runs what follows. */
const HIDE_IPSET = `
  mkdir -p "$0/upper" "$0/work"
  mknod "$0/upper/ipset" c 0 0 # what an overlay calls a file that is gone
  mount -t overlay overlay -o "lowerdir=/usr/sbin,upperdir=$0/upper,workdir=$0/work" /usr/sbin
`;

interface Machine {
  /** Stand-ins by name: shell scripts that are found first. */
  readonly tools?: Readonly<Record<string, string>>;
  readonly lacksIpset?: boolean;
  /** How often the set-up runs. */
  readonly runs?: number;
  readonly user?: string;
}

/** Runs the set-up on such a machine. Returns how it ended, and the calls of apt-get. */
async function setUpOn(machine: Machine): Promise<Result & { readonly calls: string }> {
  const directory = await Deno.makeTempDir({ dir: "/dev/shm", prefix: `vipd-setup-${Deno.pid}-` });
  try {
    const { tools = {}, lacksIpset = false, runs = 1, user = "0" } = machine;
    await Deno.chmod(directory, 0o755);
    for (const [name, script] of Object.entries(tools)) {
      await Deno.writeTextFile(`${directory}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    const deno = `${directory}/deno`;
    await Deno.copyFile(Deno.execPath(), deno); // another user may not see ours
    await Deno.chmod(deno, 0o755);
    // Somebody else may read this checkout all the same, wherever it lies.
    const reads = ["inh", "ambient"].map((set) => `--${set}-caps +dac_read_search`).join(" ");
    const command =
      `setpriv --reuid ${user} ${reads} "$0/deno" run --no-check -A scripts/setup.ts demo`;
    const script = [
      "set -e",
      `exec 2>&1; cd ${ROOT}; export CALLS="$0/calls" PATH="$0:$PATH" NO_COLOR=1`,
      lacksIpset ? HIDE_IPSET : "",
      ...Array.from({ length: runs }, () => command),
    ].join("\n");
    const result = await ended(["unshare", "--mount", "sh", "-c", script, directory]);
    return { ...result, calls: await readIfThere(`${directory}/calls`) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const APT = 'echo "$*" >>"$CALLS"';

Deno.test("setUp() installs what is missing, once, and says so", async () => {
  const apt = `${APT}; case "$*" in *install*) echo >/usr/sbin/ipset; esac`;
  const result = await setUpOn({ tools: { "apt-get": apt }, lacksIpset: true, runs: 2 });
  equal(result.code, 0, result.stdout);
  match(result.stdout, /installing ipset\n/);
  const calls = result.calls.trim().split("\n");
  equal(calls.length, 2, result.calls);
  match(calls[0] ?? "", / update /);
  match(calls[1] ?? "", / install .*--no-install-recommends ipset$/);
});

Deno.test("setUp() calls no apt-get when all is there", async () => {
  const result = await setUpOn({ tools: { "apt-get": APT } });
  equal(result.code, 0, result.stdout);
  equal(result.calls, "");
});

Deno.test("setUp() offline says what to install by hand", async () => {
  const apt = "echo 'E: Could not resolve deb.debian.org' >&2; exit 100";
  const result = await setUpOn({ tools: { "apt-get": apt }, lacksIpset: true });
  equal(result.code, 1);
  match(result.stdout, /offline\?\nE: Could not resolve .*\nBy hand: apt-get .* install ipset\n/);
});

Deno.test("setUp() does not believe an apt-get that installs nothing", async () => {
  const result = await setUpOn({ tools: { "apt-get": "exit 0" }, lacksIpset: true });
  equal(result.code, 1);
  match(result.stdout, /Still missing after the installation: ipset/);
});

Deno.test("setUp() wants root", async () => {
  const result = await setUpOn({ user: "65534" });
  equal(result.code, 1);
  match(result.stdout, /need root/);
  ok(!result.stdout.includes("    at "), "no stack");
});

Deno.test("setUp() names what the kernel cannot do", async () => {
  const result = await setUpOn({ tools: { "iptables-restore": "echo 'no such module'; exit 4" } });
  equal(result.code, 1);
  match(result.stdout, /cannot do iptables for IPv4 .*:\n[^]*no such module/);
});
