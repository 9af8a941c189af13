/**
 * The flags as rows: name, kind, what it sets, help. Names, kinds and defaults are those of
 * kube-proxy 1.36 (FACTS 1.1); the default of a flag that sets a field is that of the field.
 *
 * @module
 */

import { type FieldKind, type FieldPath, FIELDS } from "../config/fields.ts";

/** What flags that set no field of the configuration say. */
export interface OwnFlags {
  readonly config: string;
  readonly manifests: string;
  readonly master: string;
  readonly writeConfigTo: string;
  readonly cleanup: boolean;
  readonly initOnly: boolean;
  /** "", "true", "raw", or a version to report. */
  readonly version: string;
  readonly help: boolean;
  /** undefined: not given. 0 empties the bind address (CLI-20). */
  readonly healthzPort: number | undefined;
  readonly metricsPort: number | undefined;
  /** Accepted, without effect. */
  readonly unused: unknown;
}

/** One row. */
export interface Flag {
  /** With hyphens, without the two in front. */
  readonly name: string;
  readonly kind: FieldKind;
  /** What it sets: a field of the configuration, or a flag of its own. */
  readonly sets: { readonly field: FieldPath } | { readonly own: keyof OwnFlags };
  readonly help: string;
  /** One letter. */
  readonly short?: string;
  /** What a flag without `=value` means. */
  readonly bare?: string;
  /** Wins over the file when both are given (CLI-09). */
  readonly beatsFile?: boolean;
  /** Deprecated: works, but is not shown by --help. */
  readonly hidden?: boolean;
}

type More = Partial<Pick<Flag, "short" | "bare" | "beatsFile" | "hidden">>;

const BEATS_FILE: More = { beatsFile: true };
const HIDDEN: More = { hidden: true };

/** Name, field, help: flags that set a field of the configuration, with its kind. */
const FIELD_FLAGS: readonly (readonly [string, FieldPath, string, More?])[] = [
  ["bind-address", "bindAddress", "Overrides the IP of this node in its family"],
  [
    "bind-address-hard-fail",
    "bindAddressHardFail",
    "End when the health or metrics port cannot be bound, instead of trying again",
  ],
  ["cluster-cidr", "clusterCIDR", "Ranges of pod addresses, at most one per family"],
  ["config-sync-period", "configSyncPeriod", "How often the API cache is renewed"],
  [
    "conntrack-max-per-core",
    "conntrack.maxPerCore",
    "Tracked connections per CPU; 0 leaves the limit alone",
  ],
  ["conntrack-min", "conntrack.min", "Tracked connections at least"],
  [
    "conntrack-tcp-be-liberal",
    "conntrack.tcpBeLiberal",
    "Let TCP packets outside of the window pass",
  ],
  [
    "conntrack-tcp-timeout-close-wait",
    "conntrack.tcpCloseWaitTimeout",
    "How long connections in CLOSE_WAIT are tracked",
  ],
  [
    "conntrack-tcp-timeout-established",
    "conntrack.tcpEstablishedTimeout",
    "How long idle TCP connections are tracked; 0 leaves it alone",
  ],
  [
    "conntrack-udp-timeout",
    "conntrack.udpTimeout",
    "How long unanswered UDP flows are tracked; 0 leaves it alone",
  ],
  [
    "conntrack-udp-timeout-stream",
    "conntrack.udpStreamTimeout",
    "How long answered UDP flows are tracked; 0 leaves it alone",
  ],
  [
    "detect-local-mode",
    "detectLocalMode",
    "ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix",
  ],
  ["feature-gates", "featureGates", "Gate=true,Gate=false"],
  ["healthz-bind-address", "healthzBindAddress", "IP:port of /healthz, /livez, /readyz"],
  ["hostname-override", "hostnameOverride", "Name of this node", BEATS_FILE],
  ["iptables-localhost-nodeports", "iptables.localhostNodePorts", "Node ports answer on 127.0.0.1"],
  ["iptables-masquerade-bit", "iptables.masqueradeBit", "Bit of the packet mark, 0-31"],
  [
    "iptables-min-sync-period",
    "iptables.minSyncPeriod",
    "Time between two syncs at least (iptables, nftables)",
  ],
  [
    "iptables-sync-period",
    "iptables.syncPeriod",
    "Time after which a failed sync is tried again at the latest (iptables, nftables)",
  ],
  ["ipvs-exclude-cidrs", "ipvs.excludeCIDRs", "Virtual servers to leave alone"],
  ["ipvs-min-sync-period", "ipvs.minSyncPeriod", "Time between two syncs at least"],
  ["ipvs-scheduler", "ipvs.scheduler", "IPVS scheduler; rr when empty"],
  ["ipvs-strict-arp", "ipvs.strictARP", "Set arp_ignore to 1 and arp_announce to 2"],
  ["ipvs-sync-period", "ipvs.syncPeriod", "Time between two syncs at most"],
  ["ipvs-tcp-timeout", "ipvs.tcpTimeout", "Of idle TCP connections; 0: unchanged"],
  ["ipvs-tcpfin-timeout", "ipvs.tcpFinTimeout", "After a FIN; 0: unchanged"],
  ["ipvs-udp-timeout", "ipvs.udpTimeout", "Of UDP flows; 0: unchanged"],
  ["kube-api-burst", "clientConnection.burst", "Burst of requests to the API server"],
  [
    "kube-api-content-type",
    "clientConnection.contentType",
    "Content type of requests to the API server",
  ],
  ["kube-api-qps", "clientConnection.qps", "Requests per second to the API server"],
  ["kubeconfig", "clientConnection.kubeconfig", "How to reach the API server"],
  ["log-flush-frequency", "logging.flushFrequency", "Without effect", BEATS_FILE],
  ["logging-format", "logging.format", "text or json", BEATS_FILE],
  ["masquerade-all", "iptables.masqueradeAll", "Masquerade all Service traffic"],
  ["metrics-bind-address", "metricsBindAddress", "IP:port of the metrics server"],
  ["nodeport-addresses", "nodePortAddresses", "Where node ports answer; or primary"],
  ["oom-score-adj", "oomScoreAdj", "-1000 to 1000"],
  ["pod-bridge-interface", "detectLocal.bridgeInterface", "Bridge of pods, for BridgeInterface"],
  [
    "pod-interface-name-prefix",
    "detectLocal.interfaceNamePrefix",
    "Prefix of pod interfaces, for InterfaceNamePrefix",
  ],
  ["profiling", "enableProfiling", "Offer profiles on the metrics server"],
  ["proxy-mode", "mode", "iptables, ipvs or nftables"],
  [
    "show-hidden-metrics-for-version",
    "showHiddenMetricsForVersion",
    "Empty or the previous minor version",
  ],
  ["v", "logging.verbosity", "How much is logged: 0, 2, 4 … 9", { short: "v", beatsFile: true }],
  ["vmodule", "logging.vmodule", "Without effect", BEATS_FILE],
];

/** Name, kind, key, help. */
const OWN_FLAGS: readonly (readonly [string, FieldKind, keyof OwnFlags, string, More?])[] = [
  ["boot-id-file", "text", "unused", "Without effect"],
  ["cleanup", "bool", "cleanup", "Remove everything all modes leave in the kernel, and end"],
  ["config", "text", "config", "Configuration file; most other flags are ignored with it"],
  ["healthz-port", "int", "healthzPort", "Port of the health server; 0 disables", HIDDEN],
  ["help", "bool", "help", "Show this", { short: "h" }],
  ["init-only", "bool", "initOnly", "Do what needs privileges, install no rules, and end"],
  ["log-json-info-buffer-size", "text", "unused", "Without effect"],
  ["log-json-split-stream", "bool", "unused", "Without effect"],
  ["log-text-info-buffer-size", "text", "unused", "Without effect"],
  ["log-text-split-stream", "bool", "unused", "Without effect"],
  ["machine-id-file", "text", "unused", "Without effect"],
  [
    "manifests",
    "text",
    "manifests",
    "File or directory of objects to use instead of an API server; it is followed",
  ],
  ["master", "text", "master", "Address of the API server; beats the kubeconfig", BEATS_FILE],
  ["metrics-port", "int", "metricsPort", "Port of the metrics server", HIDDEN],
  ["version", "text", "version", "true, raw, or a version to report", { bare: "true" }],
  ["write-config-to", "text", "writeConfigTo", "Write the effective configuration, and end"],
];

/** All flags, in the order of their names. */
export const FLAGS: readonly Flag[] = [
  ...FIELD_FLAGS.map(([name, field, help, more]): Flag => {
    const { kind } = FIELDS[field];
    return { name, kind, sets: { field }, help, ...bareOf(kind), ...more };
  }),
  ...OWN_FLAGS.map(([name, kind, own, help, more]): Flag => (
    { name, kind, sets: { own }, help, ...bareOf(kind), ...more }
  )),
].sort((a, b) => a.name < b.name ? -1 : 1);

/** A boolean flag needs no value. */
function bareOf(kind: FieldKind): More {
  return kind === "bool" ? { bare: "true" } : {};
}
