import { match, strictEqual, throws } from "node:assert/strict";
import { parseConfiguration, parseObjects, plan, render } from "./mod.ts";

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
