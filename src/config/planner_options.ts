/**
 * What the configuration says to the planner of a family.
 *
 * @module
 */

import type { KubeProxyConfiguration } from "./types.ts";
import { GATES } from "./gates.ts";
import type { IpFamily } from "../model/ip.ts";
import { familyOf, isUnspecified } from "../model/ip.ts";
import type { DetectLocal } from "../model/node.ts";
import type { PlannerOptions } from "../model/planner.ts";

/** Options for one family on the node `nodeName`. */
export function plannerOptions(
  config: KubeProxyConfiguration,
  { family, nodeName }: { family: IpFamily; nodeName: string },
): PlannerOptions {
  const { bindAddress } = config;
  const isNodeIp = !isUnspecified(bindAddress) && familyOf(bindAddress) === family;
  return {
    family,
    nodeName,
    detectLocal: detectLocal(config),
    clusterCidrs: config.clusterCidrs,
    nodePortAddresses: config.nodePortAddresses,
    ...(isNodeIp && { nodeIp: bindAddress }),
    allowExternalIps: isEnabled(config, "AllowServiceExternalIPs"),
    nodeHints: isEnabled(config, "PreferSameTrafficDistribution"),
  };
}

function detectLocal({ detectLocalMode, detectLocal }: KubeProxyConfiguration): DetectLocal {
  switch (detectLocalMode) {
    case "ClusterCIDR":
    case "NodeCIDR":
      return { kind: detectLocalMode };
    case "BridgeInterface":
      return { kind: detectLocalMode, interfaceName: detectLocal.bridgeInterface };
    case "InterfaceNamePrefix":
      return { kind: detectLocalMode, interfacePrefix: detectLocal.interfaceNamePrefix };
  }
}

function isEnabled({ featureGates }: KubeProxyConfiguration, gate: string): boolean {
  return featureGates[gate] ?? GATES.get(gate)?.initial ?? false;
}
