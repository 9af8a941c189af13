/**
 * Every field of KubeProxyConfiguration v1alpha1 as a row: path in the file, kind, default, and
 * whether an explicit zero means "unset" (CFG-02, CFG-04). Reading, defaulting and the flags are
 * driven by this table.
 *
 * @module
 */

/** What a field of each kind holds once it is read. */
export interface ValueByKind {
  readonly text: string;
  /** 32 bits, signed. */
  readonly int: number;
  readonly float: number;
  readonly bool: boolean;
  /** Milliseconds. */
  readonly duration: number;
  /** Milliseconds; may be written as a number of nanoseconds. */
  readonly looseDuration: number;
  readonly list: readonly string[];
  readonly gates: Readonly<Record<string, boolean>>;
  /** Accepted with anything below it, not looked at. */
  readonly ignored: true;
}

/** How the value of a field is written. */
export type FieldKind = keyof ValueByKind;

/** One row of the table. */
export interface Field<K extends FieldKind = FieldKind> {
  readonly kind: K;
  /** undefined: the default depends on other fields, or vipd chooses. */
  readonly initial: ValueByKind[K] | undefined;
  /** A pointer in kube-proxy's type: an explicit zero is a value, not "use the default". */
  readonly isZeroKept: boolean;
}

function field<K extends FieldKind>(kind: K, initial?: ValueByKind[K]): Field<K> {
  return { kind, initial, isZeroKept: false };
}

function pointer<K extends FieldKind>(kind: K, initial?: ValueByKind[K]): Field<K> {
  return { kind, initial, isZeroKept: true };
}

const ON = true;
const OFF = false;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** The table. Sections are those of the file. */
export const FIELDS = {
  "featureGates": field("gates", {}),
  "clientConnection.kubeconfig": field("text", ""),
  "clientConnection.acceptContentTypes": field("text", ""),
  "clientConnection.contentType": field("text", "application/vnd.kubernetes.protobuf"),
  "clientConnection.qps": field("float", 5),
  "clientConnection.burst": field("int", 10),
  "logging.format": field("text", "text"),
  "logging.flushFrequency": field("looseDuration", 5 * SECOND),
  "logging.verbosity": field("int", 0),
  "logging.vmodule": field("ignored"),
  "logging.options": field("ignored"),
  "hostnameOverride": field("text", ""),
  "bindAddress": field("text", "0.0.0.0"),
  "healthzBindAddress": field("text"),
  "metricsBindAddress": field("text"),
  "bindAddressHardFail": field("bool", OFF),
  "enableProfiling": field("bool", OFF),
  "showHiddenMetricsForVersion": field("text", ""),
  "mode": field("text", "iptables"),
  "iptables.masqueradeBit": pointer("int", 14),
  "iptables.masqueradeAll": field("bool", OFF),
  "iptables.localhostNodePorts": pointer("bool", ON),
  "iptables.syncPeriod": field("duration", 30 * SECOND),
  "iptables.minSyncPeriod": field("duration"),
  "ipvs.syncPeriod": field("duration", 30 * SECOND),
  "ipvs.minSyncPeriod": pointer("duration"),
  "ipvs.scheduler": field("text", ""),
  "ipvs.excludeCIDRs": field("list", []),
  "ipvs.strictARP": field("bool", OFF),
  "ipvs.tcpTimeout": field("duration", 0),
  "ipvs.tcpFinTimeout": field("duration", 0),
  "ipvs.udpTimeout": field("duration", 0),
  "nftables.masqueradeBit": pointer("int", 14),
  "nftables.masqueradeAll": field("bool", OFF),
  "nftables.syncPeriod": field("duration", 30 * SECOND),
  "nftables.minSyncPeriod": field("duration"),
  "winkernel": field("ignored"),
  "detectLocalMode": field("text", "ClusterCIDR"),
  "detectLocal.bridgeInterface": field("text", ""),
  "detectLocal.interfaceNamePrefix": field("text", ""),
  "clusterCIDR": field("text", ""),
  "nodePortAddresses": field("list", []),
  "oomScoreAdj": pointer("int", -999),
  "conntrack.maxPerCore": pointer("int", 32_768),
  "conntrack.min": pointer("int", 131_072),
  "conntrack.tcpEstablishedTimeout": pointer("duration", 24 * HOUR),
  "conntrack.tcpCloseWaitTimeout": pointer("duration", HOUR),
  "conntrack.tcpBeLiberal": field("bool", OFF),
  "conntrack.udpTimeout": field("duration", 0),
  "conntrack.udpStreamTimeout": field("duration", 0),
  "configSyncPeriod": field("duration", 15 * MINUTE),
  "portRange": field("text", ""),
  "windowsRunAsService": field("bool", OFF),
  // vipd's own section; kube-proxy warns about it and goes on.
  "vipd.nftables.writer": field("text", "netlink"),
} as const satisfies Readonly<Record<string, Field>>;

/** The path of a field in the file. */
export type FieldPath = keyof typeof FIELDS;

/** The value of the field at `P`. */
export type FieldValue<P extends FieldPath> = ValueByKind[(typeof FIELDS)[P]["kind"]];

/** What a file or the flags give. */
export type Settings = { readonly [P in FieldPath]?: FieldValue<P> };

/** All paths, in the order of the table. */
export const FIELD_PATHS: readonly FieldPath[] = Object.keys(FIELDS).filter(isFieldPath);

/** Whether `path` is the path of a field. */
export function isFieldPath(path: string): path is FieldPath {
  return Object.hasOwn(FIELDS, path);
}
