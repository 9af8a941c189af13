/**
 * The ipsets of ipvs mode: which there are, of which type, and their names per family.
 * FACTS IPVS-06, IPVS-07.
 *
 * @module
 */

import {
  DEFAULT_MAX_ELEMENTS,
  type HashType,
  MAX_NAME_LENGTH,
  type SetHeader,
} from "../../kernel/ipset/values.ts";
import type { IpFamily } from "../../model/ip.ts";

/** The sets by their IPv4 names, in the order in which they are made. */
export const SET_TYPES = {
  "KUBE-LOOP-BACK": "hash:ip,port,ip",
  "KUBE-CLUSTER-IP": "hash:ip,port",
  "KUBE-EXTERNAL-IP": "hash:ip,port",
  "KUBE-EXTERNAL-IP-LOCAL": "hash:ip,port",
  "KUBE-LOAD-BALANCER": "hash:ip,port",
  "KUBE-LOAD-BALANCER-LOCAL": "hash:ip,port",
  "KUBE-LOAD-BALANCER-FW": "hash:ip,port",
  "KUBE-LOAD-BALANCER-SOURCE-IP": "hash:ip,port,ip",
  "KUBE-LOAD-BALANCER-SOURCE-CIDR": "hash:ip,port,net",
  "KUBE-NODE-PORT-TCP": "bitmap:port",
  "KUBE-NODE-PORT-LOCAL-TCP": "bitmap:port",
  "KUBE-NODE-PORT-UDP": "bitmap:port",
  "KUBE-NODE-PORT-LOCAL-UDP": "bitmap:port",
  "KUBE-NODE-PORT-SCTP-HASH": "hash:ip,port",
  "KUBE-NODE-PORT-LOCAL-SCTP-HASH": "hash:ip,port",
  "KUBE-HEALTH-CHECK-NODE-PORT": "bitmap:port",
  "KUBE-IPVS-IPS": "hash:ip",
} as const satisfies Record<string, HashType | "bitmap:port">;

/** A set by its IPv4 name. */
export type SetName = keyof typeof SET_TYPES;

/** All sets of one family. */
export const SET_NAMES = Object.keys(SET_TYPES) as readonly SetName[];

/** What the kernel calls the set: IPv6 ones have a prefix and are cut to what fits. */
export function kernelSetName(name: SetName, family: IpFamily): string {
  if (family === "IPv4") return name;
  return name.replace("KUBE-", "KUBE-6-").slice(0, MAX_NAME_LENGTH);
}

/** The set without its entries. */
export function setHeader(name: SetName, family: IpFamily): SetHeader {
  const type = SET_TYPES[name];
  const kernelName = kernelSetName(name, family);
  if (type === "bitmap:port") return { name: kernelName, type };
  return { name: kernelName, type, family, maxElements: DEFAULT_MAX_ELEMENTS };
}
