/**
 * The npm package of the library: packed, installed into a fresh project, used from Node and Deno,
 * and type-checked from there with all that is strict. Needs node 20 or newer, npm and its registry.
 *
 *     deno test -A test/packaging/npm_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import { ended } from "../support/process.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** A project that renders one Service. */
const PROGRAM = `
import { diff, parseConfiguration, parseObjects, plan, render } from "@vipd/vipd";
const manifest = \`
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
\`;
const config = parseConfiguration("");
const objects = parseObjects(manifest, { nodeName: "here" });
const ipv4 = plan(objects, { config, nodeName: "here", family: "IPv4" });
const text = render(ipv4, { config });
if (diff(ipv4, { config, observed: "" }) !== text) throw new Error("Nothing differs from nothing");
console.log(text);
`;

/** A project that names everything the library exports; what must not pass is said to. */
const TYPED_PROGRAM = `
import {
  ConfigError, diff, ManifestError, parseCidr, parseConfiguration, parseIp, parseObjects, plan, render,
} from "@vipd/vipd";
import type {
  Cidr, ClientConnectionConfig, ConfigProblem, ConntrackConfig, DetectLocalMode, DiffOptions,
  Endpoint, EndpointSlice, HostAddress, IpAddress, IpFamily, IptablesConfig, IpvsConfig,
  KubeProxyConfiguration, LocalTraffic, NamespacedName, NftablesConfig, NodeFacts, NodeObject,
  NodePortAddresses, Note, Plan, PlanOptions, Protocol, ProxyMode, RenderOptions, Scope, Service,
  ServiceCidr, ServicePlan, ServicePort, ServicePortName, ServicePortSpec, SliceEndpoint, SlicePort,
  Snapshot, TrafficPolicy, Verdict,
} from "@vipd/vipd";

type Parts = [
  Cidr, ClientConnectionConfig, ConntrackConfig, DetectLocalMode, Endpoint, EndpointSlice, IpFamily,
  IptablesConfig, IpvsConfig, LocalTraffic, NamespacedName, NftablesConfig, NodeFacts, NodeObject,
  NodePortAddresses, Note, Protocol, ProxyMode, RenderOptions, Scope, Service, ServiceCidr,
  ServicePort, ServicePortName, ServicePortSpec, SliceEndpoint, SlicePort, TrafficPolicy, Verdict,
];
export type IsAny<T> = 0 extends 1 & T ? true : false;
// A type that is lost in packing would be any, and any takes everything.
const known: { [K in keyof Parts]: IsAny<Parts[K]> } extends { [K in keyof Parts]: false } ? 1 : 2 = 1;

const address: IpAddress = parseIp("10.0.0.1");
const hostAddresses: readonly HostAddress[] = [];
const config: KubeProxyConfiguration = parseConfiguration("");
const objects: Snapshot = parseObjects("", { nodeName: "here" });
const options: PlanOptions = { config, nodeName: "here", family: "IPv4", hostAddresses };
const made: Plan = plan(objects, options);
const services: readonly ServicePlan[] = [...made.services.values()];
const less: DiffOptions = { config, observed: render(made, { config }) };
const text: string = diff(made, less);
export function problemsOf(error: unknown): readonly ConfigProblem[] | number {
  if (error instanceof ConfigError) return error.problems;
  return error instanceof ManifestError ? error.line : 0;
}
// @ts-expect-error There is no such family.
plan(objects, { ...options, family: "IPv5" });
// @ts-expect-error What was planned does not change.
made.services = new Map();
export const all = [address, known, parseCidr("10.0.0.0/8"), services, text];
`;

const TSC = [
  ...["npx", "tsc", "--noEmit", "--strict", "--exactOptionalPropertyTypes"],
  ...["--noUncheckedIndexedAccess", "--skipLibCheck", "false", "--target", "es2022"],
];

Deno.test("the packed library renders a manifest under Node and Deno", async (t) => {
  const project = await Deno.makeTempDir({ prefix: "vipd-npm-" });
  const passes = async (...command: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await ended(command, { cwd: project, timeoutMs: 120_000 });
    assert.equal(code, 0, stdout + stderr);
    return stdout;
  };
  try {
    const packed = await ended([
      Deno.execPath(),
      "task",
      "package:npm",
      `--output=${project}/vipd.tgz`,
    ], {
      cwd: ROOT,
      timeoutMs: 120_000,
    });
    assert.equal(packed.code, 0, packed.stderr);
    const description = { name: "x", version: "1.0.0", type: "module" };
    await Deno.writeTextFile(`${project}/package.json`, JSON.stringify(description));
    await Deno.writeTextFile(`${project}/main.js`, PROGRAM);
    await passes("npm", "install", "--silent", "--no-audit", "--no-fund", "./vipd.tgz");
    const rule = /-A KUBE-SEP-\S+ .* --to-destination 10\.0\.0\.1:8080\n/;
    await t.step("Node", async () => assert.match(await passes("node", "main.js"), rule));
    await t.step("Deno", async () => {
      assert.match(
        await passes(Deno.execPath(), "run", "--no-prompt", "--allow-env", "main.js"),
        rule,
      );
    });
    await t.step("types for Node, old and new ways to find them", async () => {
      await Deno.writeTextFile(`${project}/typed.ts`, TYPED_PROGRAM);
      await passes("npm", "install", "--silent", "--no-audit", "--no-fund", "typescript@5");
      for (
        const [module, resolution] of [["nodenext", "nodenext"], ["esnext", "bundler"]] as const
      ) {
        const how = ["--module", module, "--moduleResolution", resolution];
        await passes(...TSC, ...how, "typed.ts");
      }
    });
    await t.step("types for Deno", async () => {
      await passes(Deno.execPath(), "check", "typed.ts");
    });
    await t.step("nothing but the library is in it", async () => {
      const names = (await passes("tar", "-tzf", "vipd.tgz")).trim().split("\n");
      const others = names.filter((name) =>
        !/^package\/(mod\.|src\/|package\.json|README|LICENSE)/.test(name)
      );
      assert.deepEqual(others, []);
    });
  } finally {
    await Deno.remove(project, { recursive: true });
  }
});
