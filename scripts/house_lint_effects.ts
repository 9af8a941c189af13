/**
 * Where effects may be: pure is the default, and this list is the exception (HOUSE 3.4). To put a
 * file on it is a decision: say in the commit why it cannot be told what it wants to know.
 *
 * @module
 */

/** Files, and folders with a slash at the end, that may touch the host or the clock. */
const EFFECTFUL: readonly string[] = [
  "src/main.ts",
  "src/log_sink.ts", // stderr and the time of a line
  "src/kernel/addresses/addresses.ts", // addresses of the host
  "src/kernel/clock/pause.ts", // a timer
  "src/kernel/exec/run.ts", // child processes
  "src/kernel/files/files.ts", // files that are written
  "src/kernel/libc/libc.ts", // dlopen
  "src/kernel/libc/signals.ts", // a pointer for the C library
  "src/kernel/netlink/libnl.ts", // dlopen
  "src/kernel/nft/netlink_open.ts", // lets other work go on between transactions
  "src/kernel/nft/tool.ts", // a child process that stays
  "src/kernel/runtime/abilities.ts", // permissions of this process
  "src/kernel/systemd/notify.ts", // the socket of systemd
  "src/kube/api_source.ts", // starts what follows the API server
  "src/kube/credentials.ts", // token files
  "src/kube/directory_changes.ts", // inotify
  "src/kube/explain_tls.ts", // asks a server for its certificate
  "src/kube/manifests.ts", // reads files
  "src/kube/system_clock.ts", // time and chance
  "src/proxy/system_clock.ts", // time that nobody turns back
  "src/server/listen.ts", // HTTP servers
];

/** What a pure file may not name. */
export const EFFECT_NAMES: ReadonlySet<string> = new Set([
  "Deno",
  "process",
  "fetch",
  "console",
  "performance",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "clearTimeout",
  "clearInterval",
  "clearImmediate",
]);

/** Members a pure file may not name, `object.member`. */
export const EFFECT_MEMBERS: ReadonlySet<string> = new Set(["Date.now", "Math.random"]);

/** Modules of the runtime that only compute. */
const PURE_MODULES: ReadonlySet<string> = new Set([
  "node:assert/strict",
  "node:buffer",
  "node:crypto",
  "node:path",
  "node:path/posix",
  "node:url",
  "node:util",
  "node:zlib",
]);

/** Whether the file may have effects. */
export function isEffectful(path: string): boolean {
  return EFFECTFUL.some((entry) => entry.endsWith("/") ? path.startsWith(entry) : path === entry);
}

/** Whether to import this module is an effect waiting to happen. */
export function isEffectfulModule(specifier: string): boolean {
  return specifier.startsWith("node:") && !PURE_MODULES.has(specifier);
}
