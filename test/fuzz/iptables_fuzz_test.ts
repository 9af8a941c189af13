/**
 * Properties of iptables mode on the fake kernel, for random clusters that change step by step.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { SyncError } from "../../src/backend/contract.ts";
import { IptablesBackend } from "../../src/backend/iptables/backend.ts";
import { isEmpty, restoresOf } from "../../src/backend/iptables/changes.ts";
import { type Applied, diffRulesets } from "../../src/backend/iptables/diff.ts";
import { isServiceChain } from "../../src/backend/iptables/names.ts";
import { diffObserved } from "../../src/backend/iptables/observed.ts";
import { PORTAL_CHAINS } from "../../src/backend/iptables/portals.ts";
import { renderRuleset } from "../../src/backend/iptables/render.ts";
import type { Ruleset } from "../../src/backend/iptables/ruleset.ts";
import { CANARY_CHAIN } from "../../src/backend/iptables/statics.ts";
import type { BackendFacts } from "../../src/backend/iptables/style.ts";
import { FakeIptables, targetOf } from "../../src/kernel/iptables/fake.ts";
import { BLIND_MONITOR } from "../../src/kernel/iptables/monitor.ts";
import { commentMatch } from "../../src/kernel/iptables/quote.ts";
import type { Rule, Tables } from "../../src/kernel/iptables/ruleset.ts";
import { SILENT } from "../../src/log.ts";
import { parseCidr } from "../../src/model/ip.ts";
import type { Plan } from "../../src/model/plan.ts";
import { Planner } from "../../src/model/planner.ts";
import { Random } from "../support/random.ts";
import { Cluster } from "./cluster.ts";
import { plannerOptions } from "../support/builders.ts";

const TIMES = 40;
const STEPS = 12;

const FACTS: BackendFacts = {
  family: "IPv4",
  config: {
    masqueradeBit: 14,
    masqueradeAll: false,
    localhostNodePorts: true,
    syncPeriodMs: 30_000,
    minSyncPeriodMs: undefined,
  },
  capabilities: {
    randomFully: true,
    invalidCounter: true,
    localhostCounter: true,
    dropsInvalid: true,
  },
  localhostNodePorts: true,
};

/** A cluster and what the node is to make of it. */
class World {
  readonly #cluster: Cluster;
  readonly #planner: Planner;

  constructor(random: Random) {
    this.#cluster = new Cluster(random);
    this.#planner = new Planner(plannerOptions({
      clusterCidrs: random.chance(0.5) ? [parseCidr("10.0.0.0/8")] : [],
      nodePortAddresses: random.chance(0.5) ? [] : [parseCidr("192.168.0.0/24")],
    }));
  }

  plan(): Plan {
    return this.#planner.plan(this.#cluster, this.#cluster.hostAddresses);
  }

  change(): Plan {
    this.#cluster.change();
    return this.plan();
  }
}

/** Tries an asynchronous property with many seeds; a failure names its seed. */
async function tryAll(property: (random: Random) => Promise<void>): Promise<void> {
  const given = Deno.args.find((arg) => arg.startsWith("--seed="))?.slice("--seed=".length);
  const first = given === undefined ? Date.now() % 2 ** 31 : Number(given);
  const times = given === undefined ? TIMES : 1;
  for (let seed = first; seed < first + times; seed++) {
    try {
      await property(new Random(seed));
    } catch (cause) {
      throw new Error(`Property does not hold, try again with -- --seed=${seed}`, { cause });
    }
  }
}

function backendOn(iptables: FakeIptables): IptablesBackend {
  return new IptablesBackend({ facts: FACTS, iptables, monitor: BLIND_MONITOR, log: SILENT });
}

/** Tables as text, with the order that is left to chance put right: services within a chain. */
async function stateOf(fake: FakeIptables): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const [table, chains] of await fake.save()) {
    for (const [chain, rules] of [...chains].sort(([a], [b]) => a < b ? -1 : 1)) {
      const isPortal = (table === "nat" || table === "filter") &&
        PORTAL_CHAINS[table].includes(chain);
      const ordered = isPortal ? sortBody(rules) : rules;
      lines.push(`${table} :${chain}`, ...ordered.map((rule) => `${table} ${chain} ${rule}`));
    }
  }
  return lines;
}

/** Jumps to KUBE-NODEPORTS stay at the end. */
function sortBody(rules: readonly Rule[]): readonly Rule[] {
  const isTail = (rule: Rule) => targetOf(rule) === "KUBE-NODEPORTS";
  return [...rules.filter((rule) => !isTail(rule)).sort(), ...rules.filter(isTail)];
}

function checkReferences(tables: Tables): void {
  const targets = new Set<string>();
  for (const rules of tables.get("nat")?.values() ?? []) {
    for (const rule of rules) targets.add(targetOf(rule) ?? "");
  }
  for (const chain of tables.get("nat")?.keys() ?? []) {
    if (isServiceChain(chain)) ok(targets.has(chain), `nothing leads to ${chain}`);
  }
}

/** A packet that comes to a chain of a service always finds rules there. */
function checkTraffic(tables: Tables): void {
  const chains = tables.get("nat") ?? new Map<string, readonly Rule[]>();
  const queue = ["KUBE-SERVICES", "KUBE-NODEPORTS"];
  for (const chain of queue) {
    const rules = chains.get(chain) ?? [];
    if (isServiceChain(chain)) ok(rules.length > 0, `${chain} carries traffic and is empty`);
    for (const rule of rules) {
      const target = targetOf(rule);
      if (target !== undefined && isServiceChain(target) && !queue.includes(target)) {
        queue.push(target);
      }
    }
  }
}

Deno.test("changes lead to the same tables as a start from nothing", () =>
  tryAll(async (random) => {
    const world = new World(random);
    const fake = new FakeIptables();
    const backend = backendOn(fake);
    await backend.sync(world.plan());
    for (let i = 0; i < STEPS; i++) {
      const plan = world.change();
      await backend.sync(plan);
      const fresh = new FakeIptables();
      await backendOn(fresh).sync(plan);
      deepStrictEqual(await stateOf(fake), await stateOf(fresh));
      checkReferences(await fake.save());
    }
  }));

Deno.test("what is in place is not written again: not by a sync, not after a restart", () =>
  tryAll(async (random) => {
    const world = new World(random);
    const fake = new FakeIptables();
    const backend = backendOn(fake);
    for (let i = 0; i < STEPS; i++) {
      await backend.sync(world.change());
      const again = await backend.sync(world.plan());
      strictEqual(again.processes, 0);
      const restarted = await backendOn(fake).sync(world.plan());
      strictEqual(restarted.bytesWritten, 0, fake.restores.at(-1) ?? "");
      strictEqual(restarted.processes, 1);
    }
  }));

Deno.test("damage of any kind is repaired, and rules of others stay", () =>
  tryAll(async (random) => {
    const world = new World(random);
    const fake = new FakeIptables();
    const backend = backendOn(fake);
    await backend.sync(world.plan());
    await fake.restore(
      "*nat\n:OTHERS - [0:0]\n-A OTHERS -j RETURN\n-I PREROUTING -j OTHERS\nCOMMIT\n",
    );
    const wanted = await stateOf(fake);
    for (let i = 0; i < STEPS; i++) {
      await damage(fake, random);
      backend.distrust();
      const report = await backend.sync(world.plan());
      ok(report.full);
      deepStrictEqual(await stateOf(fake), wanted);
    }
  }));

/** One thing that somebody may do to chains of ours. */
async function damage(fake: FakeIptables, random: Random): Promise<void> {
  const tables = await fake.save();
  const table = random.pick(["nat", "filter"] as const);
  const own = [...tables.get(table) ?? []].filter(([chain]) =>
    chain.startsWith("KUBE-") && chain !== CANARY_CHAIN
  );
  const [chain, rules] = random.pick(own);
  const commands = [
    () => `:${chain} - [0:0]`,
    () => `-I ${chain} -s 198.51.100.1/32 -j DROP`,
    () => `-A ${chain} -s 198.51.100.1/32 -j DROP`,
    () => `:KUBE-SVC-STALE - [0:0]\n:KUBE-SEP-STALE - [0:0]\n-A KUBE-SVC-STALE -j KUBE-SEP-STALE`,
    () => rules.length > 0 ? `-D ${chain} ${random.pick(rules)}` : `:${chain} - [0:0]`,
    () => rules.length > 0 ? `-A ${chain} ${random.pick(rules)}` : `:${chain} - [0:0]`,
  ];
  const command = random.pick(commands)();
  // Stale chains in filter are not ours to remove.
  if (table === "filter" && command.includes("STALE")) return;
  await fake.restore(`*${table}\n${command}\nCOMMIT\n`);
}

Deno.test("in parts of any size no chain with traffic is ever empty", () =>
  tryAll(async (random) => {
    const world = new World(random);
    const fake = new FakeIptables();
    let wish: Ruleset = renderRuleset(world.plan(), { facts: FACTS, previous: undefined });
    const first = diffObserved(await fake.save(), wish);
    for (const { text } of restoresOf(first, { maxLines: 5 })) await fake.restore(text);
    let applied: Applied = { ruleset: wish, owned: first.owned };
    for (let i = 0; i < STEPS; i++) {
      wish = renderRuleset(world.change(), { facts: FACTS, previous: wish });
      const changes = diffRulesets(applied, wish);
      for (const { text } of restoresOf(changes, { maxLines: 1 + random.below(30) })) {
        await fake.restore(text);
        checkTraffic(await fake.save());
      }
      applied = { ruleset: wish, owned: changes.owned };
      const observed = diffObserved(await fake.save(), wish);
      ok(isEmpty(observed));
      deepStrictEqual(observed.owned, changes.owned);
    }
  }));

Deno.test("services that the kernel refuses keep nobody else from being programmed", () =>
  tryAll(async (random) => {
    const world = new World(random);
    const variant = random.pick(["nf_tables", "legacy"] as const);
    const fake = new FakeIptables({ variant });
    const bad = `ns/s${random.below(5)}`;
    fake.refuses = (line) => /^-[AI] KUBE-S/.test(line) && line.includes(`"${bad}`);
    const backend = backendOn(fake);
    await backend.sync(world.plan()).catch(() => {});
    for (let i = 0; i < STEPS; i++) {
      const plan = world.change();
      const report = await backend.sync(plan).catch(needNothingElse);
      for (const { key } of report?.quarantined ?? []) ok(key.startsWith(bad), key);
      const others = new Map([...plan.services].filter(([key]) => !key.startsWith(bad)));
      const fresh = new FakeIptables();
      await backendOn(fresh).sync({ ...plan, services: others });
      const rules = new Set(await stateOf(fake));
      for (const line of await stateOf(fresh)) ok(rules.has(line), line);
    }
  }));

/** With nothing else to write it may be anybody's fault, and the whole sync is tried again. */
function needNothingElse(error: unknown): undefined {
  ok(error instanceof SyncError, String(error));
}

Deno.test("any text is one argument of a rule, and nothing more", () =>
  tryAll((random) => {
    const alphabet = [
      ...`"'\\ \t\n\r-jA;#*:[]()$\`!é名😀`,
      "\u0000",
      "\ud83d",
      " -j DROP",
      "COMMIT",
    ];
    const text = Array.from({ length: random.below(300) }, () => random.pick(alphabet)).join("");
    const rule = `${commentMatch(text)} -j RETURN`;
    const words = splitLine(rule);
    ok(!rule.includes("\n"));
    deepStrictEqual([words.length, ...words.slice(0, 3)], [6, "-m", "comment", "--comment"]);
    deepStrictEqual(words.slice(4), ["-j", "RETURN"]);
    ok(new TextEncoder().encode(words[3]).length <= 255);
    return Promise.resolve();
  }));

/** As add_param_to_argv() of iptables-restore does. */
function splitLine(line: string): readonly string[] {
  const words: string[] = [];
  let [word, isOpen, isEscaped, isQuoted] = ["", false, false, false];
  for (const character of `${line}\n`) {
    if (isOpen && isEscaped) {
      word += character;
      isEscaped = false;
    } else if (isOpen && character === "\\") {
      isEscaped = true;
    } else if (character === '"') {
      isOpen = !isOpen;
      isQuoted = true;
    } else if (!isOpen && /\s/.test(character)) {
      if (word !== "" || isQuoted) words.push(word);
      [word, isQuoted] = ["", false];
    } else {
      word += character;
    }
  }
  ok(!isOpen);
  return words;
}
