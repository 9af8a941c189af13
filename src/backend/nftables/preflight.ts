/**
 * What mode nftables needs of the machine (FACTS NFT-01), and the way to nf_tables that is then used.
 * By netlink the nft tool is not needed; when libnl is missing the tool takes its place.
 *
 * @module
 */

import type { KubeProxyConfiguration } from "../../config/types.ts";
import { run } from "../../kernel/exec/run.ts";
import { openNetlinkNft } from "../../kernel/nft/netlink_open.ts";
import { type Nft, NftError } from "../../kernel/nft/nft.ts";
import { NftTool } from "../../kernel/nft/tool.ts";
import { checkTool, isOlder, parseVersion } from "../../kernel/nft/tool_version.ts";
import { readProcFile } from "../../kernel/procfs/file.ts";
import { SYSCTLS } from "../../kernel/procfs/sysctl.ts";
import type { Logger } from "../../log.ts";

/** Kernels before have bugs in what our rules are made of. */
const NEEDED_KERNEL = [5, 13] as const;

/** Set to anything: the operator knows that the kernel has what it needs. */
const SKIP_VARIABLE = "KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK";

/** Throws an Error that says which kernel is needed. */
export function checkKernel(): void {
  checkRelease(SYSCTLS.read("kernel/osrelease") ?? "", readProcFile("/proc/self/environ"));
}

/**
 * Throws an Error unless the kernel is new enough or the check is switched off.
 *
 * @param release `6.1.0-13-amd64`
 * @param environment `NAME=value`, each with a zero byte behind it.
 */
export function checkRelease(release: string, environment: string): void {
  const isSkipped = environment.split("\0").some((entry) =>
    entry.startsWith(`${SKIP_VARIABLE}=`) && entry.length > SKIP_VARIABLE.length + 1
  );
  const version = parseVersion(`v${release}`);
  if (isSkipped || version !== undefined && !isOlder(version, NEEDED_KERNEL)) return;
  throw new Error(
    `Cannot use proxy mode nftables: kernel ${release.trim()} is older than ` +
      `${NEEDED_KERNEL.join(".")}; use mode iptables, or set ${SKIP_VARIABLE}=1 ` +
      "if your kernel has the fixes",
  );
}

/** Opens nf_tables. Throws an Error that says what is missing and how to get it. */
export async function openNft(
  writer: KubeProxyConfiguration["vipd"]["nftables"]["writer"],
  { log }: { readonly log: Logger },
): Promise<Nft> {
  if (writer === "netlink") {
    const nft = tryNetlink(log);
    if (nft !== undefined) return nft;
  }
  await checkTool(run);
  return new NftTool();
}

function tryNetlink(log: Logger): Nft | undefined {
  try {
    return openNetlinkNft();
  } catch (error) {
    if (error instanceof NftError) throw error;
    log.warn("Cannot write nftables over netlink, using the nft tool", { error });
    return undefined;
  }
}
