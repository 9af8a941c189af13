import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { completeConfiguration } from "./complete.ts";
import type { Settings } from "./fields.ts";
import { formatCidr } from "../model/ip.ts";

Deno.test("completeConfiguration() of nothing has kube-proxy's defaults", () => {
  const config = completeConfiguration({});
  strictEqual(config.mode, "iptables");
  strictEqual(config.healthzBindAddress, "0.0.0.0:10256");
  strictEqual(config.metricsBindAddress, "127.0.0.1:10249");
  strictEqual(config.detectLocalMode, "ClusterCIDR");
  deepStrictEqual(config.iptables, {
    masqueradeBit: 14,
    masqueradeAll: false,
    localhostNodePorts: true,
    syncPeriodMs: 30_000,
    minSyncPeriodMs: undefined,
  });
  deepStrictEqual(config.conntrack, {
    maxPerCore: 32_768,
    min: 131_072,
    tcpEstablishedTimeoutMs: 86_400_000,
    tcpCloseWaitTimeoutMs: 3_600_000,
    tcpBeLiberal: false,
    udpTimeoutMs: 0,
    udpStreamTimeoutMs: 0,
  });
  strictEqual(config.oomScoreAdj, -999);
  strictEqual(config.configSyncPeriodMs, 900_000);
  deepStrictEqual(config.nodePortAddresses, []);
  deepStrictEqual(config.featureGates, {});
});

const COMPLETED: readonly (readonly [string, Settings, string, unknown])[] = [
  ["IPv6 bind address", { bindAddress: "::" }, "healthzBindAddress", "[::]:10256"],
  ["IPv6 bind address", { bindAddress: "::" }, "metricsBindAddress", "[::1]:10249"],
  ["missing port", { healthzBindAddress: "10.0.0.1" }, "healthzBindAddress", "10.0.0.1:10256"],
  ["missing port", { metricsBindAddress: "fd00::1" }, "metricsBindAddress", "[fd00::1]:10249"],
  ["empty text", { metricsBindAddress: "" }, "metricsBindAddress", "127.0.0.1:10249"],
  ["nftables", { mode: "nftables" }, "nodePortAddresses", "primary"],
  ["empty mode", { mode: "" }, "mode", "iptables"],
  ["zero that is a value", { oomScoreAdj: 0 }, "oomScoreAdj", 0],
  ["other local mode", { clusterCIDR: "bad", detectLocalMode: "NodeCIDR" }, "clusterCidrs", []],
];

for (const [what, settings, field, want] of COMPLETED) {
  Deno.test(`completeConfiguration() with ${what} has ${field} ${want}`, () => {
    deepStrictEqual(new Map(Object.entries(completeConfiguration(settings))).get(field), want);
  });
}

Deno.test("completeConfiguration() takes zero of a plain duration for unset, of a pointer not", () => {
  const config = completeConfiguration({
    "iptables.syncPeriod": 0,
    "iptables.minSyncPeriod": 0,
    "ipvs.minSyncPeriod": 0,
  });
  strictEqual(config.iptables.syncPeriodMs, 30_000);
  strictEqual(config.iptables.minSyncPeriodMs, undefined);
  strictEqual(config.ipvs.minSyncPeriodMs, 0);
});

Deno.test("completeConfiguration() splits clusterCIDR by comma", () => {
  const { clusterCidrs } = completeConfiguration({ clusterCIDR: "10.0.0.0/8,fd00::/16" });
  deepStrictEqual(clusterCidrs.map(formatCidr), ["10.0.0.0/8", "fd00::/16"]);
});

const ROOT = "KubeProxyConfiguration";
const IPTABLES = "KubeProxyIPTablesConfiguration";
const CONNTRACK = "KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration";
const DETECT_LOCAL = "DetectLocalConfiguration";

const REFUSED: readonly (readonly [Settings, string, string])[] = [
  [{ "iptables.masqueradeBit": 32 }, `${IPTABLES}.MasqueradeBit`, "32"],
  [{ "iptables.masqueradeBit": -1 }, `${IPTABLES}.MasqueradeBit`, "-1"],
  [{ mode: "userspace" }, "Mode.ProxyMode", '"userspace"'],
  [{ mode: "kernelspace" }, "Mode.ProxyMode", '"kernelspace"'],
  [{ "iptables.syncPeriod": -1000 }, "SyncPeriod", '"-1s"'],
  [{ "iptables.minSyncPeriod": -1000 }, "MinSyncPeriod", '"-1s"'],
  [{ "iptables.minSyncPeriod": 60_000 }, "SyncPeriod", '"30s"'],
  [{ "clientConnection.burst": -1 }, "ClientConnection.Burst", "-1"],
  [{ oomScoreAdj: 1001 }, "KubeProxyLinuxConfiguration.OOMScoreAdj", "1001"],
  [{ "conntrack.min": -1 }, `${CONNTRACK}.Min`, "-1"],
  [{ "conntrack.udpTimeout": -1 }, `${CONNTRACK}.UDPTimeout`, '"-1ms"'],
  [{ bindAddress: "node-a" }, "BindAddress", '"node-a"'],
  [{ healthzBindAddress: "1.2.3.4:99999" }, "HealthzBindAddress", '"1.2.3.4:99999"'],
  [{ metricsBindAddress: ":10249" }, "MetricsBindAddress", '":10249"'],
  [{ hostnameOverride: "  " }, "HostnameOverride", '"  "'],
  [{ nodePortAddresses: ["10.0.0.0"] }, "NodePortAddresses", '"10.0.0.0"'],
  [{ nodePortAddresses: ["primary", "10.0.0.0/8"] }, "NodePortAddresses", '["primary"'],
  [{ clusterCIDR: "10.0.0.0/33" }, `${DETECT_LOCAL}.ClusterCIDRs`, '"10.0.0.0/33"'],
  [{ clusterCIDR: "10.0.0.0/8,11.0.0.0/8" }, `${DETECT_LOCAL}.ClusterCIDRs`, '"10.0'],
  [{ detectLocalMode: "BridgeInterface" }, `${DETECT_LOCAL}.InterfaceName`, '""'],
  [{ detectLocalMode: "InterfaceNamePrefix" }, `${DETECT_LOCAL}.InterfacePrefix`, '""'],
  [{ detectLocalMode: "Magic" }, "DetectLocalMode", '"Magic"'],
  [{ configSyncPeriod: -1 }, "ConfigSyncPeriod", '"-1ms"'],
  [{ showHiddenMetricsForVersion: "1.36" }, "ShowHiddenMetricsForVersion", '"1.36"'],
  [{ "logging.format": "xml" }, "logging.format", '"xml"'],
  [{ featureGates: { Nonsense: true } }, "featureGates", '{"Nonsense":true}'],
  [{ mode: "ipvs", "ipvs.excludeCIDRs": ["x"] }, "KubeProxyIPVSConfiguration.ExcludeCIDRs", '"x"'],
  [{ mode: "ipvs", "ipvs.tcpTimeout": -1 }, "KubeProxyIPVSConfiguration.TCPTimeout", '"-1ms"'],
  [{ mode: "nftables", "nftables.masqueradeBit": 32 }, "KubeProxyNFTablesConfiguration", "32"],
  [{ "vipd.nftables.writer": "x" }, "vipd.nftables.writer", '"x"'],
];

for (const [settings, path, value] of REFUSED) {
  Deno.test(`completeConfiguration() refuses ${JSON.stringify(settings)} by path and value`, () => {
    throws(() => completeConfiguration(settings), (error) => {
      const text = String(error);
      return text.includes(`${ROOT}.${path}`) && text.includes(`Invalid value: ${value}`);
    });
  });
}

Deno.test("completeConfiguration() looks at fields of the active mode only", () => {
  completeConfiguration({ "ipvs.excludeCIDRs": ["x"], "nftables.masqueradeBit": 99 });
});

Deno.test("completeConfiguration() tells all violations at once", () => {
  throws(() => completeConfiguration({ oomScoreAdj: 5000, "conntrack.min": -1 }), {
    name: "ConfigError",
    message: /^\[.*OOMScoreAdj.*, .*Conntrack.*\]$/,
  });
});
