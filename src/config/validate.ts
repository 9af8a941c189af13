/**
 * What a complete configuration must satisfy, as rows. Paths are the internal names kube-proxy
 * prints (CFG-01); answers to pkg/proxy/apis/config/validation of Kubernetes 1.36.
 *
 * @module
 */

import { familyOfCidr, parseCidr, parseIp } from "../model/ip.ts";
import { parseBindAddress } from "./bind_address.ts";
import { formatDuration } from "./duration.ts";
import type { Values } from "./defaults.ts";
import { gateProblem } from "./gates.ts";
import type { ConfigProblem } from "./problem.ts";

/** The value that does not fit and why; nothing when it fits. */
type Violation = { readonly value: unknown; readonly reason: string } | undefined;

/** One row: where, and what may be wrong there. */
interface Rule {
  /** Below KubeProxyConfiguration. */
  readonly path: string;
  readonly check: (values: Values) => Violation;
}

const IPTABLES = "KubeProxyIPTablesConfiguration";
const IPVS = "KubeProxyIPVSConfiguration";
const NFTABLES = "KubeProxyNFTablesConfiguration";
const LINUX = "KubeProxyLinuxConfiguration";
const CONNTRACK = `${LINUX}.KubeProxyConntrackConfiguration`;
const DETECT_LOCAL = "DetectLocalConfiguration";

const MODES = ["iptables", "ipvs", "nftables"];
const LOCAL_MODES = ["ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"];

const RULES: readonly Rule[] = [
  row(`${IPTABLES}.MasqueradeBit`, (v) => within(v["iptables.masqueradeBit"], [0, 31])),
  row(`${IPVS}.TCPTimeout`, onlyIn("ipvs", (v) => duration(v["ipvs.tcpTimeout"]))),
  row(`${IPVS}.TCPFinTimeout`, onlyIn("ipvs", (v) => duration(v["ipvs.tcpFinTimeout"]))),
  row(`${IPVS}.UDPTimeout`, onlyIn("ipvs", (v) => duration(v["ipvs.udpTimeout"]))),
  row(`${IPVS}.ExcludeCIDRs`, onlyIn("ipvs", (v) => cidrs(v["ipvs.excludeCIDRs"]))),
  row(
    `${NFTABLES}.MasqueradeBit`,
    onlyIn("nftables", (v) => within(v["nftables.masqueradeBit"], [0, 31])),
  ),
  row(`${LINUX}.OOMScoreAdj`, (v) => within(v.oomScoreAdj, [-1000, 1000])),
  row(`${CONNTRACK}.MaxPerCore`, (v) => notNegative(v["conntrack.maxPerCore"])),
  row(`${CONNTRACK}.Min`, (v) => notNegative(v["conntrack.min"])),
  row(`${CONNTRACK}.TCPEstablishedTimeout`, (v) => duration(v["conntrack.tcpEstablishedTimeout"])),
  row(`${CONNTRACK}.TCPCloseWaitTimeout`, (v) => duration(v["conntrack.tcpCloseWaitTimeout"])),
  row(`${CONNTRACK}.UDPTimeout`, (v) => duration(v["conntrack.udpTimeout"])),
  row(`${CONNTRACK}.UDPStreamTimeout`, (v) => duration(v["conntrack.udpStreamTimeout"])),
  row("Mode.ProxyMode", (v) => oneOf(v.mode, MODES)),
  row("ClientConnection.Burst", (v) => notNegative(v["clientConnection.burst"])),
  row("SyncPeriod", (v) => moreThanZero(periods(v).sync)),
  row("MinSyncPeriod", (v) => duration(periods(v).min ?? 0)),
  row("SyncPeriod", (v) => notBelowMin(periods(v))),
  row("ConfigSyncPeriod", (v) => moreThanZero(v.configSyncPeriod)),
  row("BindAddress", (v) => parses(v.bindAddress, or(parseIp, "must be a valid IP address"))),
  row("HealthzBindAddress", (v) => parses(v.healthzBindAddress, parseBindAddress)),
  row("MetricsBindAddress", (v) => parses(v.metricsBindAddress, parseBindAddress)),
  row("HostnameOverride", (v) => notBlank(v.hostnameOverride)),
  row("NodePortAddresses", (v) => nodePortAddresses(v.nodePortAddresses)),
  row("ShowHiddenMetricsForVersion", (v) => hiddenMetricsVersion(v.showHiddenMetricsForVersion)),
  row("DetectLocalMode", (v) => oneOf(v.detectLocalMode, LOCAL_MODES)),
  row(
    `${DETECT_LOCAL}.InterfaceName`,
    (v) =>
      v.detectLocalMode === "BridgeInterface"
        ? notEmpty(v["detectLocal.bridgeInterface"])
        : undefined,
  ),
  row(
    `${DETECT_LOCAL}.InterfacePrefix`,
    (v) =>
      v.detectLocalMode === "InterfaceNamePrefix"
        ? notEmpty(v["detectLocal.interfaceNamePrefix"])
        : undefined,
  ),
  row(
    `${DETECT_LOCAL}.ClusterCIDRs`,
    (v) => v.detectLocalMode === "ClusterCIDR" ? clusterCidrs(v.clusterCIDR) : undefined,
  ),
  row("logging.format", (v) => oneOf(v["logging.format"], ["text", "json"])),
  row("logging.flushFrequency", (v) => moreThanZero(v["logging.flushFrequency"])),
  row("logging.verbosity", (v) => notNegative(v["logging.verbosity"])),
  row("vipd.nftables.writer", (v) => oneOf(v["vipd.nftables.writer"], ["netlink", "nft"])),
];

/** Everything that is wrong with a complete configuration. */
export function validateValues(values: Values): readonly ConfigProblem[] {
  const root = "KubeProxyConfiguration";
  const gates = Object.entries(values.featureGates).flatMap(([gate, enabled]) => {
    const reason = gateProblem(gate, enabled);
    return reason ? [{ path: `${root}.featureGates`, value: { [gate]: enabled }, reason }] : [];
  });
  const problems = RULES.flatMap(({ path, check }) => {
    const violation = check(values);
    return violation === undefined ? [] : [{ path: `${root}.${path}`, ...violation }];
  });
  return [...gates, ...problems];
}

function row(path: string, check: (values: Values) => Violation): Rule {
  return { path, check };
}

function onlyIn(
  mode: string,
  check: (values: Values) => Violation,
): (values: Values) => Violation {
  return (values) => values.mode === mode ? check(values) : undefined;
}

/** The periods of the active mode. */
function periods(v: Values): { readonly sync: number; readonly min: number | undefined } {
  if (v.mode === "ipvs") return { sync: v["ipvs.syncPeriod"], min: v["ipvs.minSyncPeriod"] };
  if (v.mode === "nftables") {
    return { sync: v["nftables.syncPeriod"], min: v["nftables.minSyncPeriod"] };
  }
  return { sync: v["iptables.syncPeriod"], min: v["iptables.minSyncPeriod"] };
}

function notBelowMin({ sync, min = 0 }: { sync: number; min: number | undefined }): Violation {
  if (min <= sync) return undefined;
  return {
    value: formatDuration(sync),
    reason: `must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod (${
      formatDuration(min)
    })`,
  };
}

function within(value: number, [low, high]: readonly [number, number]): Violation {
  return value >= low && value <= high
    ? undefined
    : { value, reason: `must be within the range [${low}, ${high}]` };
}

function notNegative(value: number): Violation {
  return value >= 0 ? undefined : { value, reason: "must be greater than or equal to 0" };
}

function duration(ms: number): Violation {
  return ms >= 0
    ? undefined
    : { value: formatDuration(ms), reason: "must be greater than or equal to 0" };
}

function moreThanZero(ms: number): Violation {
  return ms > 0 ? undefined : { value: formatDuration(ms), reason: "must be greater than 0" };
}

function oneOf(value: string, allowed: readonly string[]): Violation {
  return allowed.includes(value)
    ? undefined
    : { value, reason: `must be one of ${allowed.join(", ")}` };
}

function notEmpty(value: string): Violation {
  return value === "" ? { value, reason: "must not be empty" } : undefined;
}

function notBlank(value: string): Violation {
  return value !== "" && value.trim() === ""
    ? { value, reason: "empty hostname-override is invalid" }
    : undefined;
}

/** A parser that says the same of everything it does not take. */
function or(parse: (text: string) => unknown, reason: string): (text: string) => unknown {
  return (text) => {
    try {
      return parse(text);
    } catch (cause) {
      throw cause instanceof SyntaxError ? new SyntaxError(reason, { cause }) : cause;
    }
  };
}

function parses(value: string, parse: (text: string) => unknown): Violation {
  try {
    parse(value);
    return undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { value, reason: error.message };
  }
}

function cidrs(values: readonly string[]): Violation {
  return values
    .map((value) => parses(value, or(parseCidr, "must be a valid CIDR")))
    .find((violation) => violation !== undefined);
}

function nodePortAddresses(values: readonly string[]): Violation {
  if (!values.includes("primary")) return cidrs(values);
  return values.length === 1
    ? undefined
    : { value: values, reason: '"primary" must be the only element' };
}

function clusterCidrs(text: string): Violation {
  if (text === "") return undefined;
  const values = text.split(",");
  if (values.length > 2) return { value: text, reason: "must be one CIDR, or one of each family" };
  const bad = cidrs(values);
  if (bad !== undefined) return bad;
  const families = new Set(values.map((value) => familyOfCidr(parseCidr(value))));
  return families.size === values.length
    ? undefined
    : { value: text, reason: "must be one CIDR, or one of each family" };
}

function hiddenMetricsVersion(value: string): Violation {
  return value === "" || value === "1.35"
    ? undefined
    : { value, reason: "must be empty or the previous minor version 1.35" };
}
