/**
 * Properties of ipvs mode on the fake kernel, for random clusters that change step by step: what
 * many small syncs make is what one sync makes of an empty kernel, whatever happened in between.
 *
 * @module
 */

import { deepStrictEqual } from "node:assert/strict";
import { Planner } from "../../src/model/planner.ts";
import type { Plan } from "../../src/model/plan.ts";
import { Stage } from "../support/ipvs_stage.ts";
import { Random } from "../support/random.ts";
import { Cluster } from "./cluster.ts";
import { plannerOptions } from "../support/builders.ts";

const TIMES = 25;
const STEPS = 12;

function plannerOf(random: Random): Planner {
  return new Planner(plannerOptions({
    clusterCidrs: [],
    nodePortAddresses: random.chance(0.5) ? [] : "primary",
  }));
}

/** What of a kernel is compared: everything but real servers that drain. */
async function stateOf({ ipvs, ipset, links, iptables }: Stage): Promise<unknown> {
  const servers = [...ipvs.servers].map(([key, { server, realServers }]) => {
    const wanted = [...realServers].filter(([, { weight }]) => weight > 0);
    return [key, JSON.stringify(server), wanted.map(([address]) => address).sort()];
  });
  const sets = [...ipset.sets].map(([name, set]) => [name, set.type, [...set.entries].sort()]);
  return {
    servers: servers.sort(),
    sets: sets.sort(),
    addresses: [...links.addresses.get("kube-ipvs0") ?? []].sort(),
    tables: [...await iptables.save()].map(([name, chains]) => [name, [...chains].sort()]).sort(),
  };
}

/** Clients that keep what goes away from going at once. */
function connect(stage: Stage, random: Random): void {
  for (const [, { server: { address }, realServers }] of stage.ipvs.servers) {
    for (const { ip, port } of realServers.values()) {
      stage.ipvs.setConnections(address, { ip, port, active: random.below(2) });
    }
  }
}

async function isReachedFromScratch(stage: Stage, plan: Plan): Promise<void> {
  const fresh = new Stage();
  await fresh.start();
  await fresh.backend?.sync(plan);
  deepStrictEqual(await stateOf(stage), await stateOf(fresh));
}

async function liveThrough(random: Random): Promise<void> {
  const cluster = new Cluster(random);
  const planner = plannerOf(random);
  const stage = new Stage();
  await stage.start();
  for (let step = 0; step < STEPS; step++) {
    for (let i = random.below(4); i > 0; i--) cluster.change();
    if (random.chance(0.2)) connect(stage, random);
    if (random.chance(0.1)) await stage.start();
    if (random.chance(0.1)) stage.backend?.distrust();
    const plan = planner.plan(cluster, cluster.hostAddresses);
    const report = await stage.backend?.sync(plan);
    deepStrictEqual(report?.quarantined, []);
    await isReachedFromScratch(stage, plan);
  }
}

Deno.test("ipvs: small steps lead to where one sync from scratch leads", async () => {
  const given = Deno.args.find((arg) => arg.startsWith("--seed="))?.slice("--seed=".length);
  const first = given === undefined ? Date.now() % 2 ** 31 : Number(given);
  for (let seed = first; seed < first + (given === undefined ? TIMES : 1); seed++) {
    await liveThrough(new Random(seed)).catch((cause) => {
      throw new Error(`Does not hold, try again with -- --seed=${seed}`, { cause });
    });
  }
});

Deno.test("ipvs: the same plan twice writes nothing the second time", async () => {
  for (let seed = 1; seed <= TIMES; seed++) {
    const random = new Random(seed);
    const cluster = new Cluster(random);
    const plan = plannerOf(random).plan(cluster, cluster.hostAddresses);
    const stage = new Stage();
    await stage.start();
    await stage.backend?.sync(plan);
    await stage.start();
    deepStrictEqual((await stage.backend?.sync(plan))?.bytesWritten, 0, `seed ${seed}`);
  }
});
