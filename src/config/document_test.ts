import { deepStrictEqual, throws } from "node:assert/strict";
import { parseConfigDocument } from "./document.ts";

const HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

const READ = [
  ["nested fields", "iptables: {syncPeriod: 1h, masqueradeBit: 5}", {
    "iptables.syncPeriod": 3_600_000,
    "iptables.masqueradeBit": 5,
  }],
  ["null as unset", "conntrack: {maxPerCore: null, min: 0}\nmode:", { "conntrack.min": 0 }],
  [
    "numbers of nanoseconds, where kubeadm writes them",
    "logging: {flushFrequency: 0}",
    { "logging.flushFrequency": 0 },
  ],
  ["five seconds of nanoseconds", "logging: {flushFrequency: 5000000000}", {
    "logging.flushFrequency": 5000,
  }],
  [
    "lists and gates",
    "nodePortAddresses: [primary]\nfeatureGates: {AllowServiceExternalIPs: false}",
    {
      nodePortAddresses: ["primary"],
      featureGates: { AllowServiceExternalIPs: false },
    },
  ],
] as const;

for (const [what, yaml, want] of READ) {
  Deno.test(`parseConfigDocument() reads ${what}`, () => {
    const { settings, warnings } = parseConfigDocument(HEAD + yaml, "f");
    deepStrictEqual(settings, want);
    deepStrictEqual(warnings, []);
  });
}

Deno.test("parseConfigDocument() reads JSON", () => {
  const text = JSON.stringify({
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "ipvs",
  });
  deepStrictEqual(parseConfigDocument(text, "f").settings, { mode: "ipvs" });
});

Deno.test("parseConfigDocument() warns of unknown and duplicate fields and goes on", () => {
  const { settings, warnings } = parseConfigDocument(
    `${HEAD}mode: ipvs\nmode: nftables\nipvs: {nonsense: 1}\nfoo: bar\n`,
    "f",
  );
  deepStrictEqual(settings, { mode: "nftables" });
  deepStrictEqual(warnings, [
    "duplicate field in line 4",
    'unknown field "ipvs.nonsense"',
    'unknown field "foo"',
  ]);
});

Deno.test("parseConfigDocument() reads the first of several documents", () => {
  const text = `${HEAD}mode: ipvs\n---\nmode: nftables\n`;
  const { settings, warnings } = parseConfigDocument(text, "f");
  deepStrictEqual(settings, { mode: "ipvs" });
  deepStrictEqual(warnings, ["ignored: another document in line 4"]);
});

const REFUSED = [
  ["a wrong kind", "apiVersion: v1\nkind: Pod\n", /apiVersion: Invalid value: "v1": .*kind/],
  ["bad YAML", `${HEAD}a: [b}`, /^conf.yaml: not valid YAML: .* line 3/],
  ["a list", "- a\n", /^conf.yaml: must be a map of fields/],
  ["nothing", "", /^conf.yaml: must be a map of fields/],
  ["a number for text", `${HEAD}mode: 5`, /^mode: Invalid value: 5: must be a string/],
  [
    "text for a section",
    `${HEAD}iptables: fast`,
    /^iptables: Invalid value: "fast": must be a map/,
  ],
  [
    "a number for a duration",
    `${HEAD}iptables: {syncPeriod: 30}`,
    /^iptables.syncPeriod: Invalid value: 30: must be a duration/,
  ],
  [
    "several at once",
    `${HEAD}oomScoreAdj: 1.5\nclusterCIDR: [a]`,
    /^\[oomScoreAdj: .*, clusterCIDR: Invalid value: \["a"\]: must be a string\]$/,
  ],
] as const;

for (const [what, text, message] of REFUSED) {
  Deno.test(`parseConfigDocument() refuses ${what}`, () => {
    throws(() => parseConfigDocument(text, "conf.yaml"), { name: "ConfigError", message });
  });
}

Deno.test("parseConfigDocument() takes the YAML 1.1 words that Go takes for booleans", () => {
  const { settings } = parseConfigDocument(`${HEAD}ipvs: {strictARP: yes}`, "f");
  deepStrictEqual(settings, { "ipvs.strictARP": true });
});
