import { doesNotMatch, match, strictEqual, throws } from "node:assert/strict";
import { diff, parseConfiguration, parseObjects, plan, render } from "./mod.ts";

const MANIFEST = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ns}
spec:
  clusterIP: 172.30.0.1
  clusterIPs: [172.30.0.1]
  ipFamilies: [IPv4]
  ports: [{name: http, port: 80, protocol: TCP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: ns, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.1]}]
`;

Deno.test("render() of a planned manifest is input for iptables-restore", () => {
  const config = parseConfiguration("");
  const objects = parseObjects(MANIFEST, { nodeName: "here" });
  const ipv4 = plan(objects, { config, nodeName: "here", family: "IPv4" });
  strictEqual(ipv4.services.size, 1);
  const text = render(ipv4, { config });
  match(text, /^\*filter\n/);
  match(text, /\n-A KUBE-SEP-\S+ .* --to-destination 10\.0\.0\.1:8080\n/);
  match(text, /\nCOMMIT\n$/);
});

/** The manifest's rules for IPv4 with another endpoint than 10.0.0.1 when `endpoint` says so. */
function planFor(endpoint: string) {
  const objects = parseObjects(MANIFEST.replace("10.0.0.1", endpoint), { nodeName: "here" });
  return plan(objects, { config: parseConfiguration(""), nodeName: "here", family: "IPv4" });
}

/** What iptables-save prints after an empty kernel was given what render() made. */
function asSaved(restored: string): string {
  const builtIn = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
  const chains = builtIn.map((name) => `:${name} ACCEPT [0:0]\n`).join("");
  return restored.replaceAll(/^\*.*\n/gm, (table) => table + chains).replaceAll(/^-I /gm, "-A ");
}

Deno.test("diff() is empty where the rules are those of the plan", () => {
  const config = parseConfiguration("");
  const observed = asSaved(render(planFor("10.0.0.1"), { config }));
  strictEqual(diff(planFor("10.0.0.1"), { config, observed }), "");
});

Deno.test("diff() writes what differs and removes what nobody wants", () => {
  const config = parseConfiguration("");
  const observed = asSaved(render(planFor("10.0.0.1"), { config }));
  const text = diff(planFor("10.0.0.2"), { config, observed });
  match(text, /\n-A KUBE-SEP-\S+ .* --to-destination 10\.0\.0\.2:8080\n/);
  match(text, /\n-X KUBE-SEP-/);
  doesNotMatch(text, /KUBE-POSTROUTING|\*filter/);
});

Deno.test("diff() refuses text that iptables-save does not print", () => {
  const config = parseConfiguration("");
  throws(() => diff(planFor("10.0.0.1"), { config, observed: "hello" }), SyntaxError);
});

Deno.test("render() has no text for other modes", () => {
  const config = parseConfiguration(
    '{"apiVersion":"kubeproxy.config.k8s.io/v1alpha1","kind":"KubeProxyConfiguration","mode":"ipvs"}',
  );
  const ipv4 = plan(parseObjects("", { nodeName: "here" }), {
    config,
    nodeName: "here",
    family: "IPv4",
  });
  throws(() => render(ipv4, { config }), TypeError);
});
