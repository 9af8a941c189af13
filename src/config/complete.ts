/**
 * Settings -> the effective configuration: defaults, validation, then values as facts.
 *
 * @module
 */

import { type Cidr, parseCidr, parseIp } from "../model/ip.ts";
import { parseValues, type Values } from "./defaults.ts";
import type { Settings } from "./fields.ts";
import { ConfigError } from "./problem.ts";
import type { DetectLocalMode, KubeProxyConfiguration, ProxyMode } from "./types.ts";
import { validateValues } from "./validate.ts";

/**
 * The effective configuration.
 *
 * @throws {ConfigError} with everything that is wrong.
 */
export function completeConfiguration(settings: Settings): KubeProxyConfiguration {
  const values = parseValues(settings);
  const problems = validateValues(values);
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    ...parseShell(values),
    ...parseModes(values),
    ...parseNode(values),
  };
}

type Shell = Pick<
  KubeProxyConfiguration,
  | "featureGates"
  | "clientConnection"
  | "logging"
  | "hostnameOverride"
  | "bindAddress"
  | "bindAddressHardFail"
  | "healthzBindAddress"
  | "metricsBindAddress"
  | "enableProfiling"
  | "oomScoreAdj"
  | "configSyncPeriodMs"
>;

function parseShell(v: Values): Shell {
  return {
    featureGates: v.featureGates,
    clientConnection: {
      kubeconfig: v["clientConnection.kubeconfig"],
      acceptContentTypes: v["clientConnection.acceptContentTypes"],
      contentType: v["clientConnection.contentType"],
      qps: v["clientConnection.qps"],
      burst: v["clientConnection.burst"],
    },
    logging: {
      format: v["logging.format"] === "json" ? "json" : "text",
      verbosity: v["logging.verbosity"],
    },
    hostnameOverride: v.hostnameOverride,
    bindAddress: parseIp(v.bindAddress),
    bindAddressHardFail: v.bindAddressHardFail,
    healthzBindAddress: v.healthzBindAddress,
    metricsBindAddress: v.metricsBindAddress,
    enableProfiling: v.enableProfiling,
    oomScoreAdj: v.oomScoreAdj,
    configSyncPeriodMs: v.configSyncPeriod,
  };
}

type Modes = Pick<KubeProxyConfiguration, "mode" | "iptables" | "ipvs" | "nftables" | "vipd">;

function parseModes(v: Values): Modes {
  return {
    mode: v.mode as ProxyMode,
    iptables: {
      masqueradeBit: v["iptables.masqueradeBit"],
      masqueradeAll: v["iptables.masqueradeAll"],
      localhostNodePorts: v["iptables.localhostNodePorts"],
      syncPeriodMs: v["iptables.syncPeriod"],
      minSyncPeriodMs: v["iptables.minSyncPeriod"],
    },
    ipvs: {
      syncPeriodMs: v["ipvs.syncPeriod"],
      minSyncPeriodMs: v["ipvs.minSyncPeriod"],
      scheduler: v["ipvs.scheduler"],
      // Looked at, and so validated, in ipvs mode only.
      excludeCidrs: v.mode === "ipvs" ? v["ipvs.excludeCIDRs"].map(parseCidr) : [],
      strictArp: v["ipvs.strictARP"],
      tcpTimeoutMs: v["ipvs.tcpTimeout"],
      tcpFinTimeoutMs: v["ipvs.tcpFinTimeout"],
      udpTimeoutMs: v["ipvs.udpTimeout"],
    },
    nftables: {
      masqueradeBit: v["nftables.masqueradeBit"],
      masqueradeAll: v["nftables.masqueradeAll"],
      syncPeriodMs: v["nftables.syncPeriod"],
      minSyncPeriodMs: v["nftables.minSyncPeriod"],
    },
    vipd: { nftables: { writer: v["vipd.nftables.writer"] === "nft" ? "nft" : "netlink" } },
  };
}

type NodePart = Pick<
  KubeProxyConfiguration,
  "detectLocalMode" | "detectLocal" | "clusterCidrs" | "nodePortAddresses" | "conntrack"
>;

function parseNode(v: Values): NodePart {
  return {
    detectLocalMode: v.detectLocalMode as DetectLocalMode,
    detectLocal: {
      bridgeInterface: v["detectLocal.bridgeInterface"],
      interfaceNamePrefix: v["detectLocal.interfaceNamePrefix"],
    },
    clusterCidrs: v.detectLocalMode === "ClusterCIDR" ? parseCidrList(v.clusterCIDR) : [],
    nodePortAddresses: v.nodePortAddresses[0] === "primary"
      ? "primary"
      : v.nodePortAddresses.map(parseCidr),
    conntrack: {
      maxPerCore: v["conntrack.maxPerCore"],
      min: v["conntrack.min"],
      tcpEstablishedTimeoutMs: v["conntrack.tcpEstablishedTimeout"],
      tcpCloseWaitTimeoutMs: v["conntrack.tcpCloseWaitTimeout"],
      tcpBeLiberal: v["conntrack.tcpBeLiberal"],
      udpTimeoutMs: v["conntrack.udpTimeout"],
      udpStreamTimeoutMs: v["conntrack.udpStreamTimeout"],
    },
  };
}

function parseCidrList(text: string): readonly Cidr[] {
  return text === "" ? [] : text.split(",").map(parseCidr);
}
