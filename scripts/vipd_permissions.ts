/**
 * The permissions vipd runs with: one list for the demo, the tests and the executable.
 *
 * @module
 */

/** Tools that are started. Which one of them depends on the mode. */
const TOOLS = [
  "iptables",
  "iptables-save",
  "iptables-restore",
  "ip6tables",
  "ip6tables-save",
  "ip6tables-restore",
  // Where nobody has these names, as in the image.
  "iptables-nft",
  "iptables-nft-save",
  "iptables-nft-restore",
  "iptables-legacy",
  "iptables-legacy-save",
  "iptables-legacy-restore",
  "ip6tables-nft",
  "ip6tables-nft-save",
  "ip6tables-nft-restore",
  "ip6tables-legacy",
  "ip6tables-legacy-save",
  "ip6tables-legacy-restore",
  "nft",
  "ipset",
  "modprobe",
];

/** What vipd asks of its environment. */
const VARIABLES = [
  "KUBERNETES_SERVICE_HOST",
  "KUBERNETES_SERVICE_PORT",
  "NOTIFY_SOCKET",
  "WATCHDOG_USEC",
  "KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK",
];

/** Flags of `deno run` for vipd. */
export const VIPD_PERMISSIONS: readonly string[] = [
  "--no-prompt",
  // The API server's address and the node ports of health checks are known at run time only.
  "--allow-net",
  // Configuration, kubeconfig and what that names, manifests: anywhere.
  "--allow-read",
  `--allow-env=${VARIABLES.join(",")}`,
  // Libraries ask for many variables; they find none.
  "--ignore-env",
  "--allow-sys=hostname,networkInterfaces",
  `--allow-run=${TOOLS.join(",")}`,
  // libc and libnl; in a list they would have to be absolute paths, which distributions choose.
  "--allow-ffi",
];

/**
 * What the executable starts with: vipd gives up at once what its command does not need (see
 * src/kernel/runtime/abilities.ts); writing files and systemctl are for `vipd install`.
 */
export const EXECUTABLE_PERMISSIONS: readonly string[] = [
  ...VIPD_PERMISSIONS.map((flag) => flag.startsWith("--allow-run=") ? `${flag},systemctl` : flag),
  "--allow-write",
];
