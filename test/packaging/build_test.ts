/**
 * The executable: the same bytes from every build of a commit, and at home on a machine that has
 * nothing. Needs root; makes its own builds in a directory for this run.
 *
 *     deno test -A test/packaging/build_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { decodePayload } from "../../scripts/build/payload.ts";
import { ended, type Result } from "../support/process.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const LITTLE_ENDIAN = true;
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
/** What a build reads. */
const INPUTS = ["src", "scripts", "deno.json", "deno.lock"];

async function build(root: string, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await ended([
    ...[Deno.execPath(), "run", "-A", "scripts/build/main.ts"],
    ...["--commit", COMMIT, ...args],
  ], { cwd: root, timeoutMs: 120_000 });
  assert.equal(code, 0, stderr);
}

async function digest(file: string): Promise<string> {
  return createHash("sha256").update(await Deno.readFile(file)).digest("hex");
}

async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "vipd-build-test-" });
  try {
    await use(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("two builds of a commit, in different directories, are the same bytes", async () => {
  await withDirectory(async (directory) => {
    const copy = `${directory}/elsewhere/vipd`;
    await Deno.mkdir(copy, { recursive: true });
    await ended(["cp", "-r", ...INPUTS.map((name) => `${ROOT}${name}`), copy]);
    await build(ROOT, "--output", `${directory}/a`);
    await build(copy, "--output", `${directory}/b`);
    assert.equal(await digest(`${directory}/a`), await digest(`${directory}/b`));
  });
});

Deno.test("an executable for arm64 has the same program and answers in an emulator", async () => {
  await withDirectory(async (directory) => {
    await build(ROOT, "--output", `${directory}/x64`, "--machine", "x64");
    await build(ROOT, "--output", `${directory}/arm64`, "--machine", "arm64");
    const [x64, arm64] = await Promise.all([
      Deno.readFile(`${directory}/x64`),
      Deno.readFile(`${directory}/arm64`),
    ]);
    assert.equal(machineOf(x64), 62);
    assert.equal(machineOf(arm64), 183);
    assert.deepEqual(decodePayload(arm64), decodePayload(x64));
    // Debian: qemu-user-static libc6-arm64-cross libgcc-s1-arm64-cross.
    const emulator = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"];
    const told = await ended([...emulator, `${directory}/arm64`, "--version"]);
    assert.equal(told.stdout, "Kubernetes v1.36.2\n", told.stderr);
  });
});

/** e_machine; see elf(5). */
function machineOf(file: Uint8Array): number {
  return new DataView(file.buffer, file.byteOffset).getUint16(18, LITTLE_ENDIAN);
}

/** The tools of this machine, on a root that cannot be written to, with an empty environment. */
async function runReadOnly(executable: string, mode: string): Promise<Result> {
  const script = `
    set -e
    ip link set lo up
    mount --bind / /mnt
    mount -o remount,bind,ro /mnt
    mount -t proc proc /mnt/proc
    mount --rbind /dev /mnt/dev
    mount --bind ${dirname(executable)} /mnt/mnt
    mount -o remount,bind,ro /mnt/mnt
    log=$(mktemp)
    for place in tmp run root mnt; do
      if touch /mnt/$place/x 2>/dev/null; then echo "/mnt/$place can be written to"; exit 1; fi
    done
    env -i /usr/sbin/chroot /mnt /mnt/vipd --manifests=${ROOT}examples --proxy-mode=${mode} \
      --hostname-override=node-a --cluster-cidr=10.244.0.0/16 --conntrack-max-per-core=0 \
      --healthz-bind-address=127.0.0.1:10256 -v=2 2>$log &
    pid=$!
    for i in $(seq 100); do grep -q Ready: $log && break; sleep 0.1; done
    kill $pid || true
    wait $pid || { cat $log; exit 1; }
    grep Ready: $log
    rm $log
    iptables-save -t nat
    nft list tables
  `;
  return await ended(["unshare", "--mount", "--net", "--pid", "--fork", "sh"], { stdin: script });
}

/** In a root with nothing but libc, this executable, /proc and /etc of nobody. */
async function runAlone(executable: string, args: readonly string[]): Promise<Result> {
  const script = `
    set -e
    mount -t tmpfs tmpfs /mnt
    cd /mnt
    mkdir -p proc bin lib usr/lib
    for library in $(ldd ${executable} | grep -o '/[^ ]*'); do
      mkdir -p ./$(dirname $library)
      cp $library ./$library
    done
    mount -t proc proc proc
    cp ${executable} bin/vipd
    mount -o remount,ro /mnt
    exec env -i PATH=/usr/sbin:/usr/bin /usr/sbin/chroot . /bin/vipd ${args.join(" ")}
  `;
  return await ended(["unshare", "--mount", "--net", "--pid", "--fork", "sh"], { stdin: script });
}

const ALONE_ROWS = [
  ["--version", 0, /^Kubernetes v1\.36\.2\n$/],
  ["--version=raw", 0, new RegExp(`GitCommit:"${COMMIT}"`)],
  ["--help", 0, /--proxy-mode/],
  ["--no-such-flag", 1, /unknown flag/],
] as const;

const READ_ONLY_ROWS = [
  ["iptables", /KUBE-SVC-/],
  ["nftables", /table ip kube-proxy/],
] as const;

Deno.test("an executable writes rules without environment, /tmp or HOME", async () => {
  await withDirectory(async (directory) => {
    await build(ROOT, "--output", `${directory}/vipd`);
    for (const [mode, rules] of READ_ONLY_ROWS) {
      const { code, stdout, stderr } = await runReadOnly(`${directory}/vipd`, mode);
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, rules);
    }
  });
});

Deno.test("an executable without PATH has one, and leaves that of the user alone", async () => {
  await withDirectory(async (directory) => {
    await build(ROOT, "--output", `${directory}/vipd`);
    await Deno.writeTextFile(`${directory}/systemctl`, "#!/bin/sh\necho $PATH >&2; exit 1\n", {
      mode: 0o755,
    });
    const path = `${directory}:/usr/bin`;
    const rows = [
      [["env", "-i"], /PID 1|not found|LoadState/],
      [["env", "-i", "A=1", `PATH=${path}`, "Z=1"], new RegExp(path)],
    ] as const;
    for (const [environment, text] of rows) {
      const told = await ended([...environment, `${directory}/vipd`, "--version"]);
      assert.equal(told.stdout, "Kubernetes v1.36.2\n", told.stderr);
      const tried = await ended([...environment, `${directory}/vipd`, "install", "--check"]);
      assert.match(tried.stdout, text);
    }
  });
});

Deno.test("an executable answers without Deno, cache, network, writable files", async () => {
  await withDirectory(async (directory) => {
    await build(ROOT, "--output", `${directory}/vipd`);
    for (const [flag, code, text] of ALONE_ROWS) {
      const result = await runAlone(`${directory}/vipd`, [flag]);
      assert.match(result.stdout + result.stderr, text);
      assert.equal(result.code, code);
    }
  });
});

/** Shell commands in a directory with `vipd` and files that the runtime would read by itself. */
const CALLS = [
  ["by a link", "ln -s vipd link && ./link --version"],
  ["from a path with blanks", 'mkdir "a b" && cp vipd "a b/vi pd" && "a b/vi pd" --version'],
  ["as deno", "exec -a deno ./vipd --version"],
  ["without a name", 'exec -a "" ./vipd --version'],
  ["without a standard input", "./vipd --version <&-"],
  ["without an environment", "exec env -i ./vipd --version"],
  ["without a home and a place for files", "env -u HOME TMPDIR=/proc/none ./vipd --version"],
  ["in a directory that is gone", 'mkdir x && cd x && rmdir "$PWD" && ../vipd --version'],
  ["by somebody who may do nothing", "setpriv --reuid=65534 --clear-groups ./vipd --version"],
] as const;

Deno.test("an executable answers however it is called, and reads nothing around it", async (t) => {
  await withDirectory(async (directory) => {
    await Deno.chmod(directory, 0o755);
    await build(ROOT, "--output", `${directory}/vipd`);
    for (const name of ["deno.json", "package.json", "deno.lock", ".npmrc", ".env"]) {
      await Deno.writeTextFile(`${directory}/${name}`, "{ broken");
    }
    await Deno.mkdir(`${directory}/node_modules`);
    for (const [how, command] of CALLS) {
      await t.step(how, async () => {
        const { stdout, stderr } = await ended(["bash", "-c", command], { cwd: directory });
        assert.deepEqual([stdout, stderr], ["Kubernetes v1.36.2\n", ""]);
      });
    }
  });
});

Deno.test("an executable says what is wrong about odd arguments, and ends with 1", async () => {
  await withDirectory(async (directory) => {
    await build(ROOT, "--output", `${directory}/vipd`);
    for (const args of [[""], ["-A"], ["--inspect"], ["--v8-flags=--help"], ["a\nb"], ["run"]]) {
      const { code, stdout, stderr } = await ended([`${directory}/vipd`, ...args]);
      assert.match(stderr, /^Error: .*(unknown flag|takes no arguments)/);
      assert.deepEqual([code, stdout], [1, ""]);
    }
  });
});
