/**
 * Who we say we are: dashboards and audit policies look for kube-proxy (API-02).
 *
 * @module
 */

/** The kube-proxy whose behaviour vipd has. */
const KUBE_PROXY_VERSION = "v1.36.2";

/** Names of machines as Go spells them. */
const GO_ARCHITECTURES: Readonly<Record<string, string>> = { "x86_64": "amd64", aarch64: "arm64" };

/** `kube-proxy/v1.36.2 (linux/amd64) kubernetes/1234567`. */
export function userAgent(
  { machine, commit }: { readonly machine: string; readonly commit: string },
): string {
  const architecture = GO_ARCHITECTURES[machine] ?? machine;
  const build = /^[0-9a-f]{7,}$/.test(commit) ? commit.slice(0, 7) : "vipd";
  return `kube-proxy/${KUBE_PROXY_VERSION} (linux/${architecture}) kubernetes/${build}`;
}
