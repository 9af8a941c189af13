/**
 * What ipvs mode needs of the host; tests bring their own.
 *
 * @module
 */

import type { Ipset } from "../../kernel/ipset/ipset.ts";
import type { SetList } from "../../kernel/ipset/list.ts";
import type { Iptables } from "../../kernel/iptables/iptables.ts";
import type { TableMonitor } from "../../kernel/iptables/monitor.ts";
import type { Ipvs } from "../../kernel/ipvs/ipvs.ts";
import type { Links } from "../../kernel/link/link.ts";
import type { Sysctls } from "../../kernel/procfs/sysctl.ts";
import type { Logger } from "../../log.ts";
import type { IpFamily } from "../../model/ip.ts";

/** The doors to the kernel. Opening throws an Error that says what is missing. */
export interface IpvsHost {
  openIptables(family: IpFamily, log: Logger): Promise<Iptables>;
  openMonitor(iptables: Iptables): TableMonitor;
  openIpvs(): Ipvs;
  openLinks(): Links;
  openSetList(): SetList;
  readonly ipset: Ipset;
  readonly sysctls: Sysctls;
}

/** The dummy device whose addresses make packets to virtual servers local (IPVS-05). */
export const DEVICE = "kube-ipvs0";
