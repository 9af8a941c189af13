/**
 * The set-up step of demo and tests on Debian 12: installs by apt-get what is missing, says what,
 * and finds out whether the kernel can do what is asked of it. Does nothing, quickly, when all is
 * there.
 *
 *     deno run -A scripts/setup.ts [demo|ipvs|test]
 *
 * @module
 */

import process from "node:process";
import { KERNEL_CHECKS, type KernelCheck } from "./setup_kernel.ts";
import { ended } from "../test/support/process.ts";

/** What is to be done afterwards. */
export type Profile = "demo" | "ipvs" | "test";

/** Tells the user something; one line. */
export type Say = (line: string) => void;

interface Need {
  readonly package: string;
  /** Commands and files that are there when the package is; `*` in a file is one folder. */
  readonly provides: readonly string[];
  readonly profiles: readonly Profile[];
}

const ALL: readonly Profile[] = ["demo", "ipvs", "test"];
const UML: readonly Profile[] = ["ipvs", "test"];

const NEEDS: readonly Need[] = [
  { package: "iproute2", provides: ["ip"], profiles: ALL },
  {
    package: "iptables",
    provides: ["iptables", "ip6tables", "iptables-restore", "ip6tables-restore", "iptables-save"],
    profiles: ALL,
  },
  { package: "nftables", provides: ["nft"], profiles: ALL },
  { package: "ipset", provides: ["ipset"], profiles: ALL },
  { package: "conntrack", provides: ["conntrack"], profiles: ALL },
  { package: "kmod", provides: ["modprobe"], profiles: ALL },
  { package: "util-linux", provides: ["unshare", "setpriv"], profiles: ALL },
  { package: "curl", provides: ["curl"], profiles: ALL },
  { package: "libnl-3-200", provides: ["/lib/*/libnl-3.so.200"], profiles: ALL },
  { package: "libnl-genl-3-200", provides: ["/lib/*/libnl-genl-3.so.200"], profiles: ALL },
  { package: "ipvsadm", provides: ["ipvsadm"], profiles: UML },
  { package: "user-mode-linux", provides: ["linux.uml"], profiles: UML },
  // test/packaging
  { package: "systemd", provides: ["systemd-analyze"], profiles: ["test"] },
  { package: "debootstrap", provides: ["debootstrap"], profiles: ["test"] },
  { package: "lintian", provides: ["lintian"], profiles: ["test"] },
  { package: "crun", provides: ["crun"], profiles: ["test"] },
  { package: "qemu-user-static", provides: ["qemu-aarch64-static"], profiles: ["test"] },
  {
    package: "libc6-arm64-cross",
    provides: ["/usr/*/lib/ld-linux-aarch64.so.1"],
    profiles: ["test"],
  },
  {
    package: "libgcc-s1-arm64-cross",
    provides: ["/usr/*/lib/libgcc_s.so.1"],
    profiles: ["test"],
  },
  { package: "procps", provides: ["ps"], profiles: ["test"] },
  { package: "unzip", provides: ["unzip"], profiles: ["test"] },
];

/** Why the set-up cannot be done; the message says what to do about it. */
export class SetUpError extends Error {
  override readonly name = "SetUpError";
}

/** Makes the machine ready. Throws {@linkcode SetUpError}. */
export async function setUp(profile: Profile, say: Say): Promise<void> {
  if (Deno.build.os !== "linux") throw new SetUpError("vipd programs a Linux kernel; this is none");
  if (Deno.uid() !== 0) {
    throw new SetUpError("Network namespaces and packages need root: run it with sudo");
  }
  const needs = NEEDS.filter(({ profiles }) => profiles.includes(profile));
  const missing = await missingOf(needs);
  if (missing.length > 0) await install(missing, say);
  const still = await missingOf(needs);
  if (still.length > 0) {
    throw new SetUpError(`Still missing after the installation: ${still.join(" ")}`);
  }
  await checkKernel(KERNEL_CHECKS.filter(({ profiles }) => profiles.includes(profile)));
  say(`set-up: ${needs.length} packages are there, the kernel can do what is needed`);
}

async function missingOf(needs: readonly Need[]): Promise<string[]> {
  const found = await Promise.all(needs.map(async (need) => {
    const all = await Promise.all(need.provides.map(isThere));
    return all.every((there) => there) ? [] : [need.package];
  }));
  return found.flat();
}

const BIN_DIRECTORIES = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"];

async function isThere(thing: string): Promise<boolean> {
  if (!thing.startsWith("/")) {
    return await anyExists(BIN_DIRECTORIES.map((dir) => `${dir}/${thing}`));
  }
  const [before = "", after = ""] = thing.split("*");
  const folders = await Promise.all([before, `/usr${before}`].map(foldersIn));
  return await anyExists(folders.flat().map((folder) => `${folder}${after}`));
}

async function foldersIn(parent: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(parent));
    return entries.filter((entry) => entry.isDirectory).map(({ name }) => `${parent}${name}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function anyExists(paths: readonly string[]): Promise<boolean> {
  const found = await Promise.all(paths.map(async (path) => {
    try {
      await Deno.stat(path);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }));
  return found.some((exists) => exists);
}

async function install(packages: readonly string[], say: Say): Promise<void> {
  say(`set-up: installing ${packages.join(" ")}`);
  await apt(["update", "-q"], { packages, timeoutMs: 180_000 });
  await apt(["install", "-q", "-y", "--no-install-recommends", ...packages], {
    packages,
    timeoutMs: 600_000,
  });
  say(`set-up: installed ${packages.join(" ")}`);
}

async function apt(
  args: readonly string[],
  { packages, timeoutMs }: { packages: readonly string[]; timeoutMs: number },
): Promise<void> {
  const byHand = `By hand: apt-get update && apt-get install ${packages.join(" ")}`;
  try {
    // A second apt-get that runs already is waited for.
    const { code, stdout, stderr } = await ended(
      ["apt-get", "-o", "DPkg::Lock::Timeout=120", "-o", "APT::Update::Error-Mode=any", ...args],
      { env: { DEBIAN_FRONTEND: "noninteractive" }, timeoutMs },
    );
    if (code === 0) return;
    const said = `${stderr}${stdout}`.split("\n").filter((line) => /^[EW]:/.test(line));
    throw new SetUpError(
      `"apt-get ${args[0]}" ended with ${code}. Is this machine offline?\n` +
        `${said.slice(0, 5).join("\n")}\n${byHand}`,
    );
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new SetUpError(
      `There is no apt-get here. Install what is missing: ${packages.join(" ")}`,
      {
        cause: error,
      },
    );
  }
}

async function checkKernel(checks: readonly KernelCheck[]): Promise<void> {
  const script = checks.map(({ command }, i) =>
    `(${command}) 2>&1 || { echo "failed ${i}"; exit 1; }`
  );
  const { code, stdout, stderr } = await ended(["unshare", "--net", "sh"], {
    stdin: script.join("\n"),
  });
  if (code === 0) return;
  const check = checks[Number(/failed (\d+)\s*$/.exec(stdout)?.[1])];
  throw new SetUpError(
    check
      ? `This kernel cannot do ${check.what}, which ${check.why}:\n${stdout.trim()}`
      : `This machine does not let us make network namespaces: ${stderr.trim()}`,
  );
}

async function main(): Promise<void> {
  const profile = Deno.args[0] ?? "test";
  if (profile !== "demo" && profile !== "ipvs" && profile !== "test") {
    throw new SetUpError(`Unknown profile "${profile}": use demo, ipvs or test`);
  }
  await setUp(profile, (line) => process.stdout.write(`${line}\n`));
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}
