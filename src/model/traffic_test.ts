import { deepStrictEqual } from "node:assert/strict";
import { service } from "../../test/support/builders.ts";
import { parseIp } from "./ip.ts";
import type { Service } from "./objects.ts";
import type { Endpoint, Scope } from "./plan.ts";
import { servicePorts } from "./service.ts";
import { scopesOf, verdictFor } from "./traffic.ts";

const NODE_PORT: Partial<Service> = {
  type: "NodePort",
  ports: [{ name: "", protocol: "TCP", port: 80, nodePort: 30080 }],
};
const EXTERNAL_IP: Partial<Service> = { externalIps: [parseIp("203.0.113.1")] };
const INTERNAL_LOCAL: Partial<Service> = { internalTrafficPolicy: "Local" };
const EXTERNAL_LOCAL: Partial<Service> = { externalTrafficPolicy: "Local" };

/** internal, external, usesCluster, usesLocal */
type Want = readonly [Scope, Scope, boolean, boolean];
const SCOPES: readonly [string, Partial<Service>, Want][] = [
  ["ClusterIP", {}, ["cluster", "cluster", true, false]],
  ["ClusterIP, internal Local", INTERNAL_LOCAL, ["local", "cluster", false, true]],
  ["ClusterIP, external Local", EXTERNAL_LOCAL, ["cluster", "cluster", true, false]],
  ["NodePort", NODE_PORT, ["cluster", "cluster", true, false]],
  ["NodePort, external Local", { ...NODE_PORT, ...EXTERNAL_LOCAL }, [
    "cluster",
    "local",
    true,
    true,
  ]],
  ["NodePort, internal Local", { ...NODE_PORT, ...INTERNAL_LOCAL }, [
    "local",
    "cluster",
    true,
    true,
  ]],
  ["NodePort, both Local", { ...NODE_PORT, ...INTERNAL_LOCAL, ...EXTERNAL_LOCAL }, [
    "local",
    "local",
    true,
    true,
  ]],
  ["external IP, external Local", { ...EXTERNAL_IP, ...EXTERNAL_LOCAL }, [
    "cluster",
    "local",
    true,
    true,
  ]],
  ["LoadBalancer without address or node port, external Local", {
    type: "LoadBalancer",
    ...EXTERNAL_LOCAL,
  }, ["cluster", "local", true, false]],
];
for (const [what, fields, want] of SCOPES) {
  Deno.test(`SVC-10 scopesOf() ${what}`, () => {
    const each = service(fields);
    const [port] = servicePorts(each, { family: "IPv4", allowExternalIps: true });
    const scopes = port && scopesOf(each, port);
    deepStrictEqual(
      scopes && [scopes.internal, scopes.external, scopes.usesCluster, scopes.usesLocal],
      want,
    );
  });
}

const ENDPOINT: Endpoint = {
  ip: parseIp("10.0.0.1"),
  port: 80,
  text: "10.0.0.1:80",
  isLocal: false,
  ready: true,
  serving: true,
  terminating: false,
};

const VERDICTS = [
  ["cluster", [ENDPOINT], [], true, "forward"],
  ["cluster", [], [], false, "reject"],
  ["local", [ENDPOINT], [ENDPOINT], true, "forward"],
  ["local", [ENDPOINT], [], true, "drop"],
  ["local", [], [], true, "drop"],
  ["local", [], [], false, "reject"],
] as const;
for (const [scope, cluster, local, hasAny, kind] of VERDICTS) {
  const how = `${cluster.length} in the cluster, ${local.length} here, any: ${hasAny}`;
  Deno.test(`verdictFor() is ${kind} for ${scope}, ${how}`, () => {
    const usable = { cluster, local, reachable: cluster, hasAny, remarks: [] };
    deepStrictEqual(verdictFor(scope, usable), { kind, scope });
  });
}
