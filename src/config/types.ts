/**
 * The effective configuration: KubeProxyConfiguration v1alpha1 with defaults applied and values
 * parsed. Field names follow the file format; durations are milliseconds.
 *
 * @module
 */

import type { Cidr, IpAddress } from "../model/ip.ts";

/** Modes that the `mode` field accepts on Linux. */
export type ProxyMode = "iptables" | "ipvs" | "nftables";

/** `iptables:` section. */
export interface IptablesConfig {
  readonly masqueradeBit: number;
  readonly masqueradeAll: boolean;
  readonly localhostNodePorts: boolean;
  readonly syncPeriodMs: number;
  /** undefined: unset, vipd chooses (see PERFORMANCE in ARCHITECTURE.md). */
  readonly minSyncPeriodMs: number | undefined;
}

/** `ipvs:` section. */
export interface IpvsConfig {
  readonly syncPeriodMs: number;
  readonly minSyncPeriodMs: number | undefined;
  /** "" means rr. */
  readonly scheduler: string;
  readonly excludeCidrs: readonly Cidr[];
  readonly strictArp: boolean;
  /** 0: leave alone. */
  readonly tcpTimeoutMs: number;
  readonly tcpFinTimeoutMs: number;
  readonly udpTimeoutMs: number;
}

/** `nftables:` section. */
export interface NftablesConfig {
  readonly masqueradeBit: number;
  readonly masqueradeAll: boolean;
  readonly syncPeriodMs: number;
  readonly minSyncPeriodMs: number | undefined;
}

/** `conntrack:` section. 0 leaves a sysctl alone. */
export interface ConntrackConfig {
  readonly maxPerCore: number;
  readonly min: number;
  readonly tcpEstablishedTimeoutMs: number;
  readonly tcpCloseWaitTimeoutMs: number;
  readonly tcpBeLiberal: boolean;
  readonly udpTimeoutMs: number;
  readonly udpStreamTimeoutMs: number;
}

/** `clientConnection:` section. */
export interface ClientConnectionConfig {
  readonly kubeconfig: string;
  readonly acceptContentTypes: string;
  readonly contentType: string;
  readonly qps: number;
  readonly burst: number;
}

/** How local pod traffic is recognised: `detectLocalMode`. */
export type DetectLocalMode =
  | "ClusterCIDR"
  | "NodeCIDR"
  | "BridgeInterface"
  | "InterfaceNamePrefix";

/** Everything vipd is told. */
export interface KubeProxyConfiguration {
  readonly featureGates: Readonly<Record<string, boolean>>;
  readonly clientConnection: ClientConnectionConfig;
  readonly logging: { readonly format: "text" | "json"; readonly verbosity: number };
  readonly hostnameOverride: string;
  readonly bindAddress: IpAddress;
  readonly bindAddressHardFail: boolean;
  /** "" disables. */
  readonly healthzBindAddress: string;
  readonly metricsBindAddress: string;
  readonly enableProfiling: boolean;
  readonly mode: ProxyMode;
  readonly iptables: IptablesConfig;
  readonly ipvs: IpvsConfig;
  readonly nftables: NftablesConfig;
  readonly detectLocalMode: DetectLocalMode;
  readonly detectLocal: { readonly bridgeInterface: string; readonly interfaceNamePrefix: string };
  /** At most one of each family. */
  readonly clusterCidrs: readonly Cidr[];
  /** CIDRs, or exactly `primary`. */
  readonly nodePortAddresses: readonly Cidr[] | "primary";
  readonly oomScoreAdj: number;
  readonly conntrack: ConntrackConfig;
  readonly configSyncPeriodMs: number;
  /** vipd's own section; kube-proxy ignores it. */
  readonly vipd: { readonly nftables: { readonly writer: "netlink" | "nft" } };
}
