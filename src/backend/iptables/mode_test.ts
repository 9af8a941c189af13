import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { completeConfiguration } from "../../config/complete.ts";
import type { KubeProxyConfiguration } from "../../config/types.ts";
import { FakeIptables } from "../../kernel/iptables/fake.ts";
import { BLIND_MONITOR, type TableMonitor } from "../../kernel/iptables/monitor.ts";
import { SysctlError } from "../../kernel/procfs/sysctl.ts";
import { SILENT } from "../../log.ts";
import { type IpFamily, parseCidr } from "../../model/ip.ts";
import { Planner } from "../../model/planner.ts";
import { plannerOptions, snapshot } from "../../../test/support/builders.ts";
import { type Host, iptablesMode } from "./backend.ts";
import { watchTables } from "./watch.ts";

const CONFIG = completeConfiguration({});

interface Attempt {
  readonly family?: IpFamily;
  readonly config?: Partial<KubeProxyConfiguration>;
  readonly host?: Partial<Host>;
  readonly liberal?: string;
}

/** Opens the mode on a fake host and syncs an empty plan. */
async function start({ family = "IPv4", config, host, liberal = "0" }: Attempt) {
  const iptables = new FakeIptables({ family });
  const counters: string[] = [];
  const written: string[] = [];
  const mode = iptablesMode({
    openIptables: () => Promise.resolve(iptables),
    openMonitor: () => BLIND_MONITOR,
    ensureCounter: (name) => void counters.push(name),
    readCounter: () => undefined,
    sysctls: {
      read: () => liberal,
      ensure: (name, value) => void written.push(`${name}=${value}`),
    },
    ...host,
  });
  const backend = await mode.open({ family, config: { ...CONFIG, ...config }, log: SILENT });
  const planner = new Planner(plannerOptions({
    family,
    clusterCidrs: [],
  }));
  await backend.sync(planner.plan(snapshot({}), []));
  const filter = (await iptables.save()).get("filter");
  return { counters, written, filter, rules: (chain: string) => filter?.get(chain) ?? [] };
}

Deno.test("open() prepares node ports on localhost", async () => {
  const { counters, written, rules } = await start({});
  deepStrictEqual(written, ["net/ipv4/conf/all/route_localnet=1"]);
  deepStrictEqual(counters, ["ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts"]);
  strictEqual(rules("KUBE-FIREWALL").length, 1);
});

const WITHOUT_LOCALHOST: readonly (readonly [string, Attempt])[] = [
  ["IPv6", { family: "IPv6" }],
  ["localhostNodePorts: false", {
    config: { iptables: { ...CONFIG.iptables, localhostNodePorts: false } },
  }],
  ["nodePortAddresses without a loopback range", {
    config: { nodePortAddresses: [parseCidr("192.168.0.0/16")] },
  }],
  ["nodePortAddresses: primary", { config: { nodePortAddresses: "primary" } }],
];

for (const [what, attempt] of WITHOUT_LOCALHOST) {
  Deno.test(`open() leaves route_localnet alone with ${what}`, async () => {
    const { written, rules, filter } = await start(attempt);
    deepStrictEqual(written, []);
    deepStrictEqual(rules("KUBE-FIREWALL"), []);
    ok(filter?.has("KUBE-FIREWALL"));
  });
}

const WITH_LOCALHOST = ["127.0.0.0/8", "0.0.0.0/0", "127.0.0.1/32", "127.5.0.0/16", "fd00::/64"];
for (const range of WITH_LOCALHOST) {
  Deno.test(`open() sets route_localnet with nodePortAddresses ${range}`, async () => {
    const { written } = await start({ config: { nodePortAddresses: [parseCidr(range)] } });
    strictEqual(written.length, 1);
  });
}

Deno.test("open() fails when route_localnet cannot be written", async () => {
  const error = new SysctlError("net/ipv4/conf/all/route_localnet", "1");
  const sysctls = {
    read: () => "0",
    ensure: () => {
      throw error;
    },
  };
  await rejects(start({ host: { sysctls } }), error);
});

Deno.test("open() without nfacct only loses the match", async () => {
  const ensureCounter = () => {
    throw new Error("not supported");
  };
  const { rules } = await start({ host: { ensureCounter } });
  strictEqual(rules("KUBE-FORWARD")[0], "-m conntrack --ctstate INVALID -j DROP");
});

const LIBERAL = [["0", 3], ["1", 2]] as const;
for (const [liberal, rules] of LIBERAL) {
  Deno.test(`open() makes ${rules} rules in KUBE-FORWARD with tcp_be_liberal ${liberal}`, async () => {
    strictEqual((await start({ liberal })).rules("KUBE-FORWARD").length, rules);
  });
}

Deno.test("open() goes on without a monitor", async () => {
  const openMonitor = (): TableMonitor => {
    throw new Error("no netlink");
  };
  strictEqual((await start({ host: { openMonitor } })).rules("KUBE-FORWARD").length, 3);
});

Deno.test("watchTables() tells of changes until it is stopped", async () => {
  const controller = new AbortController();
  let looks = 0;
  const heard: string[] = [];
  const monitor: TableMonitor = { ...BLIND_MONITOR, hasChanged: () => ++looks === 2 };
  await watchTables(monitor, {
    onDrift(what) {
      heard.push(what);
      controller.abort();
    },
    periodMs: 1,
    ownedRules: () => 0,
    signal: controller.signal,
  });
  strictEqual(looks, 2);
  strictEqual(heard.length, 1);
});

Deno.test("watchTables() ends at once when it is stopped while it waits", async () => {
  const controller = new AbortController();
  const watching = watchTables(BLIND_MONITOR, {
    onDrift() {},
    periodMs: 3_600_000,
    ownedRules: () => 0,
    signal: controller.signal,
  });
  controller.abort();
  await watching;
});
