/**
 * Which IP families this node can serve, each with an open backend (NODE-11). The primary family
 * must work; without the other one the node is single-stack.
 *
 * @module
 */

import type { Backend, Mode } from "../backend/contract.ts";
import type { KubeProxyConfiguration } from "../config/types.ts";
import type { Host } from "../kernel/procfs/host.ts";
import type { Logger } from "../log.ts";
import { type Cidr, familyOf, familyOfCidr, type IpFamily, isUnspecified } from "../model/ip.ts";
import type { NodeObject } from "../model/objects.ts";

/** A family and what programs it. */
export interface OpenFamily {
  readonly family: IpFamily;
  readonly backend: Backend;
}

/** What opening needs. */
export interface OpenFamiliesOptions {
  readonly mode: Mode;
  readonly config: KubeProxyConfiguration;
  readonly host: Host;
  readonly node: NodeObject | undefined;
  readonly log: Logger;
}

/** The family of the first address of the node, unless bindAddress says otherwise (NODE-02, -03). */
export function primaryFamily(
  config: Pick<KubeProxyConfiguration, "bindAddress">,
  node: NodeObject | undefined,
): IpFamily {
  if (!isUnspecified(config.bindAddress)) return familyOf(config.bindAddress);
  const [first] = node?.addresses ?? [];
  return first === undefined ? "IPv4" : familyOf(first);
}

/** Opens the primary family first. Throws what keeps that one from working. */
export async function openFamilies(options: OpenFamiliesOptions): Promise<readonly OpenFamily[]> {
  const primary = primaryFamily(options.config, options.node);
  const secondary = primary === "IPv4" ? "IPv6" : "IPv4";
  const first = await openFamily(primary, options);
  const families = [{ family: primary, backend: first }];
  try {
    families.push({ family: secondary, backend: await openFamily(secondary, options) });
  } catch (error) {
    options.log.info("Serving one IP family only", { family: primary, missing: secondary, error });
  }
  const served = families.map(({ family }) => family);
  const { config: { clusterCidrs, detectLocalMode }, node } = options;
  checkRanges(served, { ...options, name: "clusterCIDR", ranges: clusterCidrs });
  if (detectLocalMode === "NodeCIDR") {
    checkRanges(served, { ...options, name: "podCIDRs", ranges: node?.podCidrs ?? [] });
  }
  return families;
}

async function openFamily(
  family: IpFamily,
  { mode, config, host, log }: OpenFamiliesOptions,
): Promise<Backend> {
  if (family === "IPv6" && !host.hasIpv6()) throw new Error("IPv6 is switched off on this node");
  return await mode.open({ family, config, log });
}

/** CFG-05: on a single-stack node the only range must be of that family. */
function checkRanges(
  families: readonly IpFamily[],
  { name, ranges, log }: {
    readonly name: string;
    readonly ranges: readonly Cidr[];
    readonly log: Logger;
  },
): void {
  if (ranges.length === 0) return;
  const covered = new Set(ranges.map(familyOfCidr));
  const missing = families.filter((family) => !covered.has(family));
  if (missing.length === families.length) {
    throw new Error(`Cannot use ${name}: no range of ${families.join(" or ")}`);
  }
  if (missing.length > 0) log.warn("No range of a served family", { field: name, missing });
}
