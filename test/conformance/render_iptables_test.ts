/**
 * Every iptables step of every conformance case without root: objects of the case are decoded,
 * planned and programmed into the fake kernel, which then has to hold what kube-proxy left in the
 * real one. What was there at the start comes in through the `run` commands, as far as they are
 * about iptables and addresses.
 *
 * @module
 */

import { ok, strictEqual } from "node:assert/strict";
import { parse as parseYaml, stringify as stringifyYaml } from "yaml";
import type { Backend } from "../../src/backend/contract.ts";
import { iptablesMode } from "../../src/backend/iptables/backend.ts";
import { completeConfiguration } from "../../src/config/complete.ts";
import { parseConfigDocument } from "../../src/config/document.ts";
import type { KubeProxyConfiguration } from "../../src/config/types.ts";
import { FakeIptables } from "../../src/kernel/iptables/fake.ts";
import { BLIND_MONITOR } from "../../src/kernel/iptables/monitor.ts";
import { normaliseRule } from "../../src/kernel/iptables/save.ts";
import { decodeGone, decodeObject } from "../../src/kube/decode.ts";
import { type JsonObject, listAt, objectAt, parseObject, textAt } from "../../src/kube/json.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { Store } from "../../src/kube/store.ts";
import { SILENT } from "../../src/log.ts";
import { IP_FAMILIES, type IpFamily, parseIp } from "../../src/model/ip.ts";
import type { HostAddress } from "../../src/model/objects.ts";
import { Planner } from "../../src/model/planner.ts";
import { plannerOptions } from "../../src/config/planner_options.ts";
import { readIfThere } from "../support/files.ts";
import { canonicalIptables } from "./canonical/iptables.ts";

const CASES = new URL("./cases/", import.meta.url);
const NODE = "node-a";

/** A node with the fake kernel, and what runs on it. */
class Node {
  readonly kernels: Readonly<Record<IpFamily, FakeIptables>> = {
    IPv4: new FakeIptables({ family: "IPv4" }),
    IPv6: new FakeIptables({ family: "IPv6" }),
  };
  readonly #store = new Store();
  readonly #addresses: HostAddress[] = ["127.0.0.1", "::1", "192.168.77.2", "fd00:77::2"].map(
    (ip) => ({ interfaceName: "n0", ip: parseIp(ip) }),
  );
  readonly #sysctls: Record<string, string> = { "net/netfilter/nf_conntrack_tcp_be_liberal": "0" };
  readonly #mode = iptablesMode({
    openIptables: (family) => Promise.resolve(this.kernels[family]),
    openMonitor: () => BLIND_MONITOR,
    ensureCounter() {},
    readCounter: () => undefined,
    sysctls: {
      read: (name) => this.#sysctls[name],
      ensure: (name, value) => void (this.#sysctls[name] = value),
    },
  });
  #config: JsonObject;
  #running: { backend: Backend; planner: Planner }[] = [];

  constructor(config: JsonObject) {
    this.#config = config;
  }

  apply(object: JsonObject): void {
    const resource = RESOURCES.find(({ kind }) => kind === textAt(object, "kind"));
    ok(resource);
    const { change } = decodeObject(object, { resource, nodeName: NODE });
    if (change !== undefined) this.#store.apply(change);
  }

  remove({ kind, name, namespace }: JsonObject): void {
    const resource = RESOURCES.find((each) => each.kind === kind);
    ok(resource);
    const change = decodeGone({ metadata: { name, namespace } }, resource.kind);
    ok(change);
    this.#store.apply(change);
  }

  reconfigure(fields: JsonObject): void {
    this.#config = { ...this.#config, ...fields };
  }

  async start(): Promise<void> {
    const config = this.#parseConfig();
    if (config.conntrack.tcpBeLiberal) {
      this.#sysctls["net/netfilter/nf_conntrack_tcp_be_liberal"] = "1";
    }
    for (const family of IP_FAMILIES) {
      const backend = await this.#mode.open({ family, config, log: SILENT });
      this.#running.push({
        backend,
        planner: new Planner(plannerOptions(config, { family, nodeName: NODE })),
      });
    }
  }

  stop(): void {
    for (const { backend } of this.#running) backend.close();
    this.#running = [];
  }

  async cleanup(): Promise<readonly Error[]> {
    return await this.#mode.cleanup({ config: this.#parseConfig(), log: SILENT });
  }

  /** The second sync has nothing to do. */
  async sync(): Promise<void> {
    for (const { backend, planner } of this.#running) {
      await backend.sync(planner.plan(this.#store, this.#addresses));
      const again = await backend.sync(planner.plan(this.#store, this.#addresses));
      strictEqual(again.bytesWritten, 0);
      strictEqual(again.processes, 0);
    }
  }

  distrust(): void {
    for (const { backend } of this.#running) backend.distrust();
  }

  /** What an administrator types: only the forms that the cases use. */
  async run(command: string): Promise<void> {
    for (const [, ip = ""] of command.matchAll(/ip addr add ([^/]+)\//g)) {
      this.#addresses.push({ interfaceName: "n2", ip: parseIp(ip) });
    }
    const here = /^iptables-restore <<'END'\n([^]*)\nEND/.exec(command)?.[1];
    if (here !== undefined) await this.kernels.IPv4.restore(canonicalInput(here));
    for (const [, args = ""] of command.matchAll(/(?:^|; )iptables ([^;]+)/g)) {
      const table = /-t (\w+) /.exec(args)?.[1] ?? "filter";
      const line = args.replace(/-t \w+ /, "").replace(/^-N (\S+)$/, ":$1 - [0:0]")
        .replace(/^-I (\S+) 1 /, "-I $1 ");
      await this.kernels.IPv4.restore(canonicalInput(`*${table}\n${line}\nCOMMIT\n`));
    }
  }

  #parseConfig(): KubeProxyConfiguration {
    const text = stringifyYaml(this.#config);
    return completeConfiguration(parseConfigDocument(text, "config.yaml").settings);
  }
}

/** As iptables-save would print it. */
function canonicalInput(text: string): string {
  return text.split("\n").map((line) =>
    line.trim()
      .replace(/-p tcp --dport (\d+)/, "-p tcp -m tcp --dport $1")
      .replace(/^(.*) (-p tcp .*?) (-d \S+)/, "$1 $3 $2")
  ).join("\n");
}

/** Policies are not ours, and the fake keeps none. */
function comparable(dump: string): string {
  return dump.split("\n").map((line) =>
    normaliseRule(line).replace(/^:([A-Z]+) DROP$/, ":$1 ACCEPT")
  )
    .join("\n");
}

async function printFake(fake: FakeIptables): Promise<string> {
  const lines: string[] = [];
  for (const [table, chains] of await fake.save()) {
    lines.push(`*${table}`);
    for (const name of chains.keys()) {
      lines.push(`:${name} ${/^[A-Z]+$/.test(name) && !isForeign(name) ? "ACCEPT" : "-"} [0:0]`);
    }
    for (const [name, rules] of chains) lines.push(...rules.map((rule) => `-A ${name} ${rule}`));
    lines.push("COMMIT");
  }
  return canonicalIptables(lines.join("\n"));
}

function isForeign(chain: string): boolean {
  return chain === "OURS";
}

/**
 * Steps in which vipd decided to be ahead of kube-proxy. FACTS, IPT-25: stale chains go at once,
 * also in large clusters, where kube-proxy leaves them for up to a syncPeriod.
 */
const STALE_CHAINS_GONE = new Set(["large-cluster/01"]);

function withoutUnusedEndpointChains(dump: string): string {
  const used = new Set([...dump.matchAll(/ -j (KUBE-SEP-\w+)/g)].map(([, chain]) => chain));
  return dump.split("\n").filter((line) => {
    const chain = /^(?::|-A )(KUBE-SEP-\w+)/.exec(line)?.[1];
    return chain === undefined || used.has(chain);
  }).join("\n");
}

/** Cases in which iptables mode runs all the time. */
async function caseNames(): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(CASES)) {
    const spec = parseObject(
      parseYaml(await Deno.readTextFile(new URL(`${name}/case.yaml`, CASES))),
    );
    const isIptables = listAt(spec, "modes").includes("iptables");
    if (isIptables && !name.startsWith("switch-")) names.push(name);
  }
  return names.sort();
}

async function runStep(node: Node, step: JsonObject): Promise<void> {
  const proxy = objectAt(step, "proxy");
  const action = textAt(proxy, "action");
  if (["stop", "restart", "cleanup"].includes(action)) node.stop();
  for (const command of listAt(step, "run")) await node.run(String(command));
  for (const object of listAt(step, "apply")) node.apply(parseObject(object));
  for (const object of listAt(step, "delete")) node.remove(parseObject(object));
  node.reconfigure(objectAt(proxy, "config"));
  if (["start", "restart"].includes(action)) await node.start();
  if (action === "cleanup") strictEqual((await node.cleanup()).length, 0);
  // Somebody else changed something: on a real node the monitor notices.
  if (listAt(step, "run").length > 0) node.distrust();
  await node.sync();
}

for (const name of await caseNames()) {
  Deno.test(`iptables mode leaves in a fake kernel what kube-proxy left: ${name}`, async () => {
    const folder = new URL(`${name}/`, CASES);
    const spec = parseObject(parseYaml(await Deno.readTextFile(new URL("case.yaml", folder))));
    const node = new Node(
      parseObject(parseYaml(await Deno.readTextFile(new URL("config.yaml", folder)))),
    );
    for (const [i, written] of listAt(spec, "steps").entries()) {
      const number = String(i).padStart(2, "0");
      const recorded = parseObject(
        JSON.parse(await Deno.readTextFile(new URL(`${number}.json`, folder))),
      );
      const step = i > 0 ? recorded : {
        apply: listAt(recorded, "items"),
        run: listAt(parseObject(written), "run"),
        proxy: { action: "start" },
      };
      await runStep(node, step);
      for (const family of IP_FAMILIES) {
        const file = family === "IPv4" ? "iptables.v4" : "iptables.v6";
        const captured = await readIfThere(new URL(`expected/iptables/${number}/${file}`, folder));
        const isAhead = STALE_CHAINS_GONE.has(`${name}/${number}`);
        const expected = isAhead ? withoutUnusedEndpointChains(captured) : captured;
        strictEqual(
          comparable(await printFake(node.kernels[family])),
          comparable(expected),
          `${name}, step ${number}, ${family}`,
        );
      }
    }
  });
}
