import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { parseArguments } from "./arguments.ts";
import { configure } from "./configure.ts";
import { FLAGS } from "./flags.ts";
import { helpText, versionText } from "./help.ts";

const FILE = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

const SETTINGS = [
  ["--proxy-mode=ipvs", { mode: "ipvs" }],
  ["--proxy_mode ipvs", { mode: "ipvs" }],
  ["--ipvs_exclude_cidrs=10.0.0.0/8,a_b", { "ipvs.excludeCIDRs": ["10.0.0.0/8", "a_b"] }],
  ["--nodeport-addresses=a --nodeport-addresses=b,c", { nodePortAddresses: ["a", "b", "c"] }],
  ["--masquerade-all", { "iptables.masqueradeAll": true }],
  ["--masquerade-all=false", { "iptables.masqueradeAll": false }],
  ["--iptables-sync-period=1m30s", { "iptables.syncPeriod": 90_000 }],
  ["--oom-score-adj -5", { oomScoreAdj: -5 }],
  ["--oom-score-adj=-5", { oomScoreAdj: -5 }],
  ["-v 4", { "logging.verbosity": 4 }],
  ["-v=4", { "logging.verbosity": 4 }],
  ["-v4", { "logging.verbosity": 4 }],
  ["--v=4", { "logging.verbosity": 4 }],
  ["--feature-gates=A=true,B=false --feature-gates B=true", {
    featureGates: { A: true, B: true },
  }],
  ["--kube-api-qps=2.5", { "clientConnection.qps": 2.5 }],
] as const;

for (const [line, want] of SETTINGS) {
  Deno.test(`parseArguments() of ${line}`, () => {
    deepStrictEqual(parseArguments(line.split(" ")).settings, want);
  });
}

const REFUSED = [
  ["--nonsense", /^--nonsense: unknown flag$/],
  ["-x", /^-x: unknown flag$/],
  ["--nonsense=1 --also", /^\[--nonsense: unknown flag, --also: unknown flag\]$/],
  ["run now", /^vipd: Invalid value: \["run","now"\]: takes no arguments/],
  ["--proxy-mode", /^--proxy-mode: flag needs an argument$/],
  ["--oom-score-adj=x", /^--oom-score-adj: Invalid value: "x": must be a 32-bit integer$/],
  ["--oom-score-adj=3000000000", /^--oom-score-adj: .* must be a 32-bit integer$/],
  ["--masquerade-all=maybe", /^--masquerade-all: Invalid value: "maybe": must be true or false$/],
  ["--iptables-sync-period=30", /^--iptables-sync-period: Invalid value: "30": must be a duration/],
  ["--feature-gates=A", /^--feature-gates: Invalid value: "A": must be Gate=true or Gate=false$/],
] as const;

for (const [line, message] of REFUSED) {
  Deno.test(`parseArguments() refuses ${line}`, () => {
    throws(() => parseArguments(line.split(" ")), { name: "ConfigError", message });
  });
}

Deno.test("configure() without a file applies iptables periods to nftables", () => {
  const args = parseArguments(["--proxy-mode=nftables", "--iptables-min-sync-period=2s"]);
  const { config } = configure(args, undefined);
  strictEqual(config.nftables.minSyncPeriodMs, 2_000);
  strictEqual(config.nodePortAddresses, "primary");
});

Deno.test("configure() with a file ignores flags but those that win over it", () => {
  const args = parseArguments([
    "--config=f",
    "--proxy-mode=nftables",
    "--hostname-override=Other",
    "-v=3",
    "--logging-format=json",
  ]);
  const { config, warnings } = configure(args, `${FILE}mode: ipvs\nhostnameOverride: x\nodd: 1\n`);
  strictEqual(config.mode, "ipvs");
  strictEqual(config.hostnameOverride, "Other");
  deepStrictEqual(config.logging, { format: "json", verbosity: 3 });
  deepStrictEqual(warnings, ['unknown field "odd"']);
});

const ADDRESSES = [
  ["--healthz-port=1", "healthzBindAddress", "0.0.0.0:1"],
  ["--healthz-port=0", "healthzBindAddress", ""],
  ["--healthz-bind-address=[::1]:2 --healthz-port=1", "healthzBindAddress", "[::1]:1"],
  ["--metrics-bind-address=127.0.0.9 --metrics-port=1", "metricsBindAddress", "127.0.0.9:1"],
] as const;

for (const [line, field, want] of ADDRESSES) {
  Deno.test(`configure() with ${line} has ${field} ${want}`, () => {
    strictEqual(configure(parseArguments(line.split(" ")), undefined).config[field], want);
  });
}

Deno.test("configure() refuses --metrics-port=0, as kube-proxy does", () => {
  throws(() => configure(parseArguments(["--metrics-port=0"]), undefined), {
    message: /MetricsBindAddress: Invalid value: "127.0.0.1:0"/,
  });
});

Deno.test("FLAGS have unique names", () => {
  strictEqual(new Set(FLAGS.map(({ name }) => name)).size, FLAGS.length);
});

Deno.test("helpText() shows flags with their defaults, deprecated ones not", () => {
  const lines = helpText().split("\n");
  const syncPeriod = lines.find((line) => line.includes("--iptables-sync-period"));
  match(syncPeriod ?? "", /^ {6}--iptables-sync-period duration .*\(default 30s\)$/);
  ok(!lines.some((line) => line.includes("--healthz-port")));
});

Deno.test("versionText() names Kubernetes as kube-proxy does", () => {
  strictEqual(versionText("true"), "Kubernetes v1.36.2\n");
  match(versionText("raw"), /^version.Info\{Major:"1", Minor:"36", GitVersion:"v1.36.2"/);
});
