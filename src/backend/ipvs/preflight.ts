/**
 * What must be true before ipvs mode writes anything: tools, kernel, scheduler, parameters.
 * FACTS IPVS-01 to IPVS-04. Every failure says what is missing and how to get it.
 *
 * @module
 */

import type { KubeProxyConfiguration } from "../../config/types.ts";
import { ExecError } from "../../kernel/exec/run.ts";
import type { Ipset } from "../../kernel/ipset/ipset.ts";
import type { Ipvs } from "../../kernel/ipvs/ipvs.ts";
import { plainVirtualServer, type VirtualServerAddress } from "../../kernel/ipvs/values.ts";
import type { Link, Links } from "../../kernel/link/link.ts";
import { isExisting, isNotFound } from "../../kernel/netlink/errors.ts";
import type { Sysctls } from "../../kernel/procfs/sysctl.ts";
import type { Logger } from "../../log.ts";
import { parseIp } from "../../model/ip.ts";
import { DEVICE } from "./host.ts";

/** The scheduler of all virtual servers. */
export function schedulerOf({ ipvs }: KubeProxyConfiguration): string {
  return ipvs.scheduler === "" ? "rr" : ipvs.scheduler;
}

/** Throws an Error when the tool is missing or too old, or the kernel has no sets. */
export async function checkIpset(ipset: Ipset): Promise<void> {
  try {
    const version = await ipset.version(); // it asks the kernel too
    if (Number(version.split(".")[0]) < 6) {
      throw new Error(`Cannot use ipvs mode: ipset ${version} is too old, 6.0 or later is needed`);
    }
    await ipset.save("KUBE-");
  } catch (cause) {
    if (!(cause instanceof ExecError)) throw cause;
    const said = cause.stderr.trim();
    throw new Error(`Cannot use ipvs mode: the kernel has no sets: modprobe ip_set (${said})`, {
      cause,
    });
  }
}

/** IP_VS_SCHEDNAME_MAXLEN without the end of the string; longer names are an invalid argument. */
const MAX_SCHEDULER_LENGTH = 15;

/** A virtual server nobody has: TEST-NET-2. */
const PROBE: VirtualServerAddress = { ip: parseIp("198.51.100.0"), protocol: "TCP", port: 20_000 };

/** Throws an Error unless the kernel takes a virtual server with the scheduler. */
export function checkScheduler(ipvs: Ipvs, scheduler: string): void {
  const remove = { kind: "delete-virtual-server", address: PROBE } as const;
  const add = { kind: "add-virtual-server", server: plainVirtualServer(PROBE, scheduler) } as const;
  // Removed first too: one that was left would say nothing of this scheduler.
  const { failures } = ipvs.apply([remove, add, remove]);
  const error = failures.find(({ index }) => index === 1)?.error;
  if (error === undefined) return;
  if (!isNotFound(error) && scheduler.length <= MAX_SCHEDULER_LENGTH) throw error;
  throw new Error(
    `Cannot use IPVS scheduler ${JSON.stringify(scheduler)}: the kernel does not have it; ` +
      `load it with "modprobe ip_vs_${scheduler}" (a module of the kernel's package) ` +
      "or choose another with ipvs.scheduler",
    { cause: error },
  );
}

/** Sets what virtual servers need (IPVS-03). Throws a SysctlError. */
export function setSysctls(sysctls: Sysctls, { ipvs }: KubeProxyConfiguration): void {
  const wanted = [
    ["net/ipv4/vs/conntrack", "1"],
    ...needsNoReuse(sysctls.read("kernel/osrelease")) ? [["net/ipv4/vs/conn_reuse_mode", "0"]] : [],
    ["net/ipv4/vs/expire_nodest_conn", "1"],
    ["net/ipv4/vs/expire_quiescent_template", "1"],
    ["net/ipv4/ip_forward", "1"],
    ...ipvs.strictArp
      ? [["net/ipv4/conf/all/arp_ignore", "1"], ["net/ipv4/conf/all/arp_announce", "2"]]
      : [],
  ];
  for (const [name = "", value = ""] of wanted) sysctls.ensure(name, value);
}

/** Kernels from 4.1 on delayed connections that reuse a port by a second; 5.9 does not. */
function needsNoReuse(release: string | undefined): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release ?? "") ?? [];
  const version = Number(major) * 1000 + Number(minor);
  return version >= 4001 && version < 5009;
}

/** Sets the timeouts that are configured; a failure is only logged (IPVS-04). */
export function setTimeouts(
  ipvs: Ipvs,
  { config, log }: { config: KubeProxyConfiguration; log: Logger },
): void {
  const { tcpTimeoutMs, tcpFinTimeoutMs, udpTimeoutMs } = config.ipvs;
  const [tcpSeconds = 0, tcpFinSeconds = 0, udpSeconds = 0] = [
    tcpTimeoutMs,
    tcpFinTimeoutMs,
    udpTimeoutMs,
  ].map((ms) => Math.trunc(ms / 1000));
  if (tcpSeconds + tcpFinSeconds + udpSeconds === 0) return;
  try {
    ipvs.setTimeouts({ tcpSeconds, tcpFinSeconds, udpSeconds });
  } catch (error) {
    log.error("Cannot set IPVS timeouts", { error });
  }
}

/** The dummy device, made if it is not there. Throws an Error when it is something else. */
export function ensureDevice(links: Links): Link {
  const link = links.find(DEVICE) ?? createDevice(links);
  if (link.kind === "dummy") return link;
  throw new Error(
    `Cannot bind service addresses to ${DEVICE}: it is a ${link.kind || "hardware"} device, ` +
      `not a dummy; rename or remove it ("ip link delete ${DEVICE}") and it is made anew`,
  );
}

/** The other family may be faster. */
function createDevice(links: Links): Link {
  try {
    return links.createDummy(DEVICE);
  } catch (error) {
    const link = isExisting(error) ? links.find(DEVICE) : undefined;
    if (link !== undefined) return link;
    throw error;
  }
}
