/**
 * This machine as /proc and /sys show it, as far as it is no sysctl.
 *
 * @module
 */

import { isMissing, readProcFile, writeProcFile } from "./file.ts";
import { SYSCTLS, type Sysctls } from "./sysctl.ts";

const HASH_SIZE = "/sys/module/nf_conntrack/parameters/hashsize";

/** What the shell asks and tells the machine. */
export interface Host {
  readonly sysctls: Sysctls;
  /** Processors in use. */
  cpuCount(): number;
  /** Whether the kernel speaks IPv6 and nobody has switched it off (NODE-11). */
  hasIpv6(): boolean;
  /** How willing the kernel is to end this process when memory is short: -1000..1000. */
  setOomScoreAdj(score: number): void;
  /** Buckets of the connection tracking table; undefined when there is none. */
  conntrackHashSize(): number | undefined;
  setConntrackHashSize(buckets: number): void;
}

/** The machine vipd runs on. */
export const HOST: Host = {
  sysctls: SYSCTLS,
  cpuCount: () => {
    const online = readIfThere("/sys/devices/system/cpu/online");
    return online === undefined ? navigator.hardwareConcurrency : countCpus(online);
  },
  hasIpv6: () =>
    readIfThere("/proc/net/if_inet6") !== undefined &&
    SYSCTLS.read("net/ipv6/conf/all/disable_ipv6") === "0",
  setOomScoreAdj: (score) => writeProcFile("/proc/self/oom_score_adj", String(score)),
  conntrackHashSize: () => {
    const text = readIfThere(HASH_SIZE);
    return text === undefined ? undefined : Number(text);
  },
  setConntrackHashSize: (buckets) => writeProcFile(HASH_SIZE, String(buckets)),
};

/** The number of CPUs in a list such as `0-3,8`. */
export function countCpus(list: string): number {
  return list.trim().split(",").reduce((count, range) => {
    const [first, last = first] = range.split("-").map(Number);
    return first === undefined || last === undefined ? count : count + last - first + 1;
  }, 0);
}

function readIfThere(path: string): string | undefined {
  try {
    return readProcFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
