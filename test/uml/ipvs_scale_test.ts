/**
 * Ipvs mode with 2,000 Services of 5 endpoints each on a real kernel: how many processes it starts
 * and how long a sync takes, at first, after a restart, for one endpoint and for one Service.
 * Needs user-mode-linux, ipset, iptables.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { IPVS } from "../../src/backend/ipvs/backend.ts";
import type { Backend, SyncReport } from "../../src/backend/contract.ts";
import { completeConfiguration } from "../../src/config/complete.ts";
import { openIpvs } from "../../src/kernel/ipvs/ipvs.ts";
import { SILENT } from "../../src/log.ts";
import { parseIp } from "../../src/model/ip.ts";
import type { EndpointSlice, Service } from "../../src/model/objects.ts";
import { Planner } from "../../src/model/planner.ts";
import { inUml } from "../contract/inside.ts";
import {
  nodeObject,
  plannerOptions,
  service,
  slice,
  sliceEndpoint,
  snapshot,
} from "../support/builders.ts";
import { legacyIptablesPath } from "../support/tools.ts";

const SERVICES = 2000;
const ENDPOINTS = 5;

/** Service `n` and its slice; all endpoints are elsewhere. */
function objects(n: number, endpoints = ENDPOINTS): [Service, EndpointSlice] {
  const [name, high, low] = [`s${n}`, n >> 8, n & 255];
  return [
    service({ name, clusterIps: [parseIp(`172.30.${high}.${low}`)] }),
    slice({
      name: `${name}-1`,
      serviceName: name,
      endpoints: Array.from(
        { length: endpoints },
        (_, i) => sliceEndpoint(`10.${i + 1}.${high}.${low}`),
      ),
    }),
  ];
}

const planner = new Planner(plannerOptions({
  clusterCidrs: [],
  nodeIp: parseIp("0.0.0.0"),
}));

const world = Array.from({ length: SERVICES }, (_, n) => objects(n + 1));

async function sync(backend: Backend): Promise<SyncReport & { readonly ms: number }> {
  const plan = planner.plan(
    snapshot({
      services: world.map(([one]) => one),
      slices: world.map(([, one]) => one),
      node: nodeObject(),
    }),
    [],
  );
  const before = performance.now();
  const report = await backend.sync(plan);
  const ms = performance.now() - before;
  return { ...report, ms };
}

function say(what: string, { ms, processes, bytesWritten }: SyncReport & { ms: number }): void {
  const numbers = `${Math.round(ms)} ms, ${processes} processes, ${bytesWritten} bytes`;
  Deno.stdout.writeSync(new TextEncoder().encode(`${what}: ${numbers}\n`));
}

async function open(): Promise<Backend> {
  const config = completeConfiguration({ mode: "ipvs" });
  return await IPVS.open({ family: "IPv4", config, log: SILENT });
}

inUml(import.meta.url, () => {
  Deno.test("2,000 services x 5 endpoints", async () => {
    Deno.env.set("PATH", await legacyIptablesPath(await Deno.makeTempDir()));
    const backend = await open();
    const first = await sync(backend);
    say("first sync", first);
    ok(first.processes <= 5);
    using ipvs = openIpvs();
    strictEqual(ipvs.listVirtualServers().length, SERVICES);

    world[999] = objects(1000, ENDPOINTS + 1);
    const endpoint = await sync(backend);
    say("one endpoint", endpoint);
    deepStrictEqual([endpoint.processes, endpoint.servicesChanged], [0, 1]);

    world[999] = objects(1000);
    const gone = await sync(backend);
    say("one endpoint gone", gone);
    strictEqual(gone.processes, 0);

    world.push(objects(SERVICES + 1));
    const added = await sync(backend);
    say("one service", added);
    strictEqual(added.processes, 1);

    const again = await open();
    const restart = await sync(again);
    say("restart", restart);
    strictEqual(restart.bytesWritten, 0);
    backend.close();
    again.close();
  });
});
