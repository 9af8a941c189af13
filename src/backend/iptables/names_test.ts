import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { parseIp } from "../../model/ip.ts";
import type { Endpoint, ServicePortName } from "../../model/plan.ts";
import { endpointChainName, isServiceChain, serviceChainNames } from "./names.ts";

const KUBERNETES: ServicePortName = {
  namespace: "default",
  name: "kubernetes",
  port: "https",
  protocol: "TCP",
  service: "default/kubernetes",
  text: "default/kubernetes:https",
  key: "default/kubernetes:https/TCP",
};

const ENDPOINT: Endpoint = {
  ip: parseIp("192.168.77.1"),
  port: 6443,
  text: "192.168.77.1:6443",
  isLocal: false,
  ready: true,
  serving: true,
  terminating: false,
};

Deno.test("serviceChainNames() are those of kube-proxy", () => {
  deepStrictEqual(serviceChainNames(KUBERNETES), {
    policy: { cluster: "KUBE-SVC-NPX46M4PTMTKRN6Y", local: "KUBE-SVL-NPX46M4PTMTKRN6Y" },
    external: "KUBE-EXT-NPX46M4PTMTKRN6Y",
    firewall: "KUBE-FW-NPX46M4PTMTKRN6Y",
  });
});

Deno.test("endpointChainName() is that of kube-proxy", () => {
  strictEqual(endpointChainName(KUBERNETES, ENDPOINT), "KUBE-SEP-PTMZZQCON32GO54E");
});

const CHAINS = [
  ["KUBE-SVC-NPX46M4PTMTKRN6Y", "ours"],
  ["KUBE-FW-NPX46M4PTMTKRN6Y", "ours"],
  ["KUBE-XLB-NPX46M4PTMTKRN6Y", "not ours"],
  ["KUBE-SERVICES", "not ours"],
] as const;

for (const [chain, want] of CHAINS) {
  Deno.test(`isServiceChain(${chain}): ${want}`, () =>
    strictEqual(isServiceChain(chain) ? "ours" : "not ours", want));
}
