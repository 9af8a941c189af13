/**
 * The npm package of the library: packed, installed into a fresh project, and used from Node and
 * Deno. Needs node 20 or newer, npm and its registry.
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
import { parseConfiguration, parseObjects, plan, render } from "@vipd/vipd";
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
console.log(render(plan(objects, { config, nodeName: "here", family: "IPv4" }), { config }));
`;

Deno.test("the packed library renders a manifest under Node and Deno", async (t) => {
  const project = await Deno.makeTempDir({ prefix: "vipd-npm-" });
  const passes = async (...command: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await ended(command, { cwd: project, timeoutMs: 120_000 });
    assert.equal(code, 0, stderr);
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
