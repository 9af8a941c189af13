import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { NetlinkError } from "../../kernel/netlink/errors.ts";
import { plainVirtualServer } from "../../kernel/ipvs/values.ts";
import { parseCidr, parseIp } from "../../model/ip.ts";
import { SyncError } from "../contract.ts";
import { SET_NAMES } from "./sets.ts";
import { Stage, web } from "../../../test/support/ipvs_stage.ts";

const VIP = web("172.30.0.1");
const [A, B] = ["10.0.1.1", "10.0.1.2"];
const ADDRESS = { ip: parseIp("172.30.0.1"), protocol: "TCP", port: 80 } as const;

Deno.test("a new Service: sets, rules, virtual server, address, in this order", async () => {
  const stage = new Stage();
  await stage.sync();
  stage.put("web", { endpoints: [A, B] });
  const report = await stage.sync();
  deepStrictEqual(stage.steps, [
    "sets",
    "rules",
    "add virtual server 172.30.0.1:80/TCP",
    "add real server 10.0.1.1:8080 of 172.30.0.1:80/TCP",
    "add real server 10.0.1.2:8080 of 172.30.0.1:80/TCP",
    "bind 172.30.0.1",
  ]);
  deepStrictEqual([report.full, report.servicesChanged, report.processes], [false, 1, 2]);
});

Deno.test("a Service that goes: address, virtual server, sets, rules, in this order", async () => {
  const stage = new Stage();
  stage.put("web", { endpoints: [A] });
  await stage.sync();
  stage.remove("web");
  await stage.sync();
  deepStrictEqual(stage.steps, [
    "unbind 172.30.0.1",
    "delete virtual server 172.30.0.1:80/TCP",
    "sets",
    "rules",
  ]);
  deepStrictEqual([stage.entries("KUBE-CLUSTER-IP"), stage.entries("KUBE-IPVS-IPS")], [[], []]);
});

Deno.test("a second Service changes no rule", async () => {
  const stage = new Stage();
  stage.put("web", { endpoints: [A] });
  await stage.sync();
  stage.put("db", { clusterIps: [parseIp("172.30.0.2")], endpoints: [B] });
  strictEqual((await stage.sync()).processes, 1);
  ok(!stage.steps.includes("rules"));
});

Deno.test("an endpoint that comes costs one batch and no process", async () => {
  const stage = new Stage();
  stage.put("web", { endpoints: [A] });
  await stage.sync();
  const before = stage.ipvs.applied.length;
  stage.put("web", { endpoints: [A, B] });
  const report = await stage.sync();
  deepStrictEqual(stage.steps, ["add real server 10.0.1.2:8080 of 172.30.0.1:80/TCP"]);
  deepStrictEqual([stage.ipvs.applied.length - before, report.processes], [1, 0]);
});

Deno.test("the same plan again costs nothing", async () => {
  const stage = new Stage();
  stage.put("web", { endpoints: [A] });
  await stage.sync();
  const report = await stage.sync();
  deepStrictEqual([stage.steps, report.processes, report.bytesWritten], [[], 0, 0]);
});

Deno.test("an idle real server is deleted in the same sync", async () => {
  const stage = new Stage();
  stage.put("web", { endpoints: [A, B] });
  await stage.sync();
  stage.put("web", { endpoints: [A] });
  const report = await stage.sync();
  deepStrictEqual(stage.realServers(VIP), ["10.0.1.1:8080 1"]);
  strictEqual(report.resyncAfterMs, undefined);
});

/** A Service whose endpoint B has left while it had a connection. */
async function drainingStage(): Promise<Stage> {
  const stage = new Stage();
  stage.put("web", { endpoints: [A, B] });
  await stage.sync();
  stage.ipvs.setConnections(ADDRESS, { ip: parseIp(B), port: 8080, active: 1 });
  stage.put("web", { endpoints: [A] });
  const report = await stage.sync();
  deepStrictEqual(stage.realServers(VIP), ["10.0.1.1:8080 1", "10.0.1.2:8080 0"]);
  ok((report.resyncAfterMs ?? Infinity) <= 5000);
  return stage;
}

Deno.test("a real server with connections has weight 0 until it is idle (IPVS-21)", async () => {
  const stage = await drainingStage();
  await stage.sync();
  strictEqual(stage.realServers(VIP).length, 2);
  stage.ipvs.setConnections(ADDRESS, { ip: parseIp(B), port: 8080, active: 0 });
  const report = await stage.sync();
  deepStrictEqual(stage.realServers(VIP), ["10.0.1.1:8080 1"]);
  strictEqual(report.resyncAfterMs, undefined);
});

Deno.test("an endpoint that returns while it drains is brought back, connections and all", async () => {
  const stage = await drainingStage();
  stage.put("web", { endpoints: [A, B] });
  const report = await stage.sync();
  deepStrictEqual(stage.steps, ["update real server 10.0.1.2:8080 of 172.30.0.1:80/TCP"]);
  deepStrictEqual(stage.realServers(VIP), ["10.0.1.1:8080 1", "10.0.1.2:8080 1"]);
  strictEqual(report.resyncAfterMs, undefined);
});

Deno.test("what drains goes on draining after vipd was killed (IPVS-22)", async () => {
  const stage = await drainingStage();
  await stage.start();
  ok(((await stage.sync()).resyncAfterMs ?? Infinity) <= 5000);
  deepStrictEqual(stage.realServers(VIP), ["10.0.1.1:8080 1", "10.0.1.2:8080 0"]);
  stage.ipvs.setConnections(ADDRESS, { ip: parseIp(B), port: 8080, active: 0 });
  await stage.sync();
  deepStrictEqual(stage.realServers(VIP), ["10.0.1.1:8080 1"]);
});

Deno.test("a restart gives weight 1 to what is wanted again", async () => {
  const stage = await drainingStage();
  stage.put("web", { endpoints: [A, B] });
  await stage.start();
  await stage.sync();
  deepStrictEqual(stage.realServers(VIP), ["10.0.1.1:8080 1", "10.0.1.2:8080 1"]);
});

Deno.test("a Service that goes while it drains leaves nothing behind", async () => {
  const stage = await drainingStage();
  stage.remove("web");
  strictEqual((await stage.sync()).resyncAfterMs, undefined);
  strictEqual(stage.ipvs.servers.size, 0);
});

Deno.test("UDP real servers are deleted at once, whatever is connected", async () => {
  const stage = new Stage();
  const ports = [{ name: "dns", protocol: "UDP", port: 53, nodePort: 0 }] as const;
  stage.put("dns", { ports, endpoints: [A, B] });
  await stage.sync();
  const address = { ip: parseIp("172.30.0.1"), protocol: "UDP", port: 53 } as const;
  stage.ipvs.setConnections(address, { ip: parseIp(B), port: 8080, active: 5 });
  stage.put("dns", { ports, endpoints: [A] });
  await stage.sync();
  deepStrictEqual(stage.realServers("172.30.0.1:53/UDP"), ["10.0.1.1:8080 1"]);
});

Deno.test("a restart with everything in place writes nothing", async () => {
  const stage = new Stage();
  stage.put("web", { endpoints: [A, `here ${B}`], externalIps: [parseIp("203.0.113.9")] });
  await stage.sync();
  await stage.start();
  const report = await stage.sync();
  deepStrictEqual([stage.steps, report.bytesWritten, report.full], [[], 0, true]);
});

Deno.test("what others did is undone once it is not trusted", async () => {
  const stage = new Stage();
  stage.put("web", { endpoints: [A] });
  await stage.sync();
  stage.ipvs.apply([{ kind: "delete-virtual-server", address: ADDRESS }]);
  stage.links.addresses.clear();
  await stage.ipset.restore("del KUBE-CLUSTER-IP 172.30.0.1,tcp:80\n");
  await stage.iptables.restore("*nat\n:KUBE-MARK-MASQ - [0:0]\nCOMMIT\n");
  stage.backend?.distrust();
  await stage.sync();
  deepStrictEqual(stage.realServers(VIP), ["10.0.1.1:8080 1"]);
  deepStrictEqual([...stage.links.addresses.get("kube-ipvs0") ?? []], ["172.30.0.1"]);
  deepStrictEqual(stage.entries("KUBE-CLUSTER-IP"), ["172.30.0.1,tcp:80"]);
  strictEqual((await stage.rules("KUBE-MARK-MASQ")).length, 1);
});

const OTHERS = plainVirtualServer(
  { ip: parseIp("203.0.113.77"), protocol: "TCP", port: 80 },
  "wrr",
);

Deno.test("virtual servers of others go, unless excludeCIDRs names them (IPVS-23)", async () => {
  for (const [excludeCidrs, left] of [[[], 1], [[parseCidr("203.0.113.0/24")], 2]] as const) {
    const stage = new Stage();
    stage.ipvs.apply([{ kind: "add-virtual-server", server: OTHERS }]);
    await stage.start({ excludeCidrs });
    stage.put("web", { endpoints: [A] });
    await stage.sync();
    strictEqual(stage.ipvs.servers.size, left);
  }
});

Deno.test("a virtual server of ours in excludeCIDRs outlives its Service (IPVS-23)", async () => {
  const stage = new Stage();
  await stage.start({ excludeCidrs: [parseCidr("172.30.0.0/16")] });
  stage.put("web", { endpoints: [A] });
  await stage.sync();
  stage.remove("web");
  await stage.sync();
  deepStrictEqual([...stage.ipvs.servers.keys()], [VIP]);
  stage.put("web", { endpoints: [A, B] });
  await stage.sync();
  strictEqual(stage.ipvs.servers.size, 1);
});

Deno.test("a virtual server of others that appears is removed with the next change", async () => {
  const stage = new Stage();
  stage.put("web", { endpoints: [A] });
  await stage.sync();
  stage.ipvs.apply([{ kind: "add-virtual-server", server: OTHERS }]);
  stage.put("web", { endpoints: [A, B] });
  await stage.sync();
  deepStrictEqual([...stage.ipvs.servers.keys()], [VIP]);
});

const FOREIGN = {
  ip: parseIp("10.9.9.9"),
  port: 8080,
  forwarding: "masquerade",
  weight: 1,
} as const;

const MEDDLING: readonly [string, (stage: Stage) => void][] = [
  ["a real server that was added", ({ ipvs }) => {
    ipvs.apply([{ kind: "add-real-server", address: ADDRESS, realServer: FOREIGN }]);
  }],
  ["a virtual server that was removed", ({ ipvs }) => {
    ipvs.apply([{ kind: "delete-virtual-server", address: ADDRESS }]);
  }],
  ["a virtual server that was changed (IPVS-20)", ({ ipvs }) => {
    const server = { ...plainVirtualServer(ADDRESS, "wlc"), flags: 1, timeoutSeconds: 77 };
    ipvs.apply([{ kind: "update-virtual-server", server }]);
  }],
  ["a real server without weight that was added", ({ ipvs }) => {
    const realServer = { ...FOREIGN, weight: 0 };
    ipvs.apply([{ kind: "add-real-server", address: ADDRESS, realServer }]);
  }],
  ["a real server that lost its weight", ({ ipvs }) => {
    const realServer = { ...FOREIGN, ip: parseIp(A), weight: 0 };
    ipvs.apply([{ kind: "update-real-server", address: ADDRESS, realServer }]);
  }],
  ["a set that was flushed", ({ ipset }) => ipset.sets.get("KUBE-CLUSTER-IP")?.entries.clear()],
  ["a set that was destroyed", ({ ipset }) => void ipset.sets.delete("KUBE-NODE-PORT-UDP")],
  ["an entry that was exchanged", ({ ipset }) => {
    const { entries } = ipset.sets.get("KUBE-IPVS-IPS") ?? { entries: new Set() };
    entries.clear();
    entries.add("172.30.0.9");
  }],
  ["an address that was removed", ({ links }) => links.addresses.clear()],
  ["an address that was added", ({ links }) => {
    links.addresses.get("kube-ipvs0")?.add(parseIp("10.9.9.9"));
  }],
];
for (const [what, meddle] of MEDDLING) {
  Deno.test(`watch() finds ${what}, and it is repaired`, async () => {
    const stage = new Stage();
    await stage.start({ syncPeriodMs: 1 });
    stage.put("web", { endpoints: [A] });
    await stage.sync();
    const abort = new AbortController();
    const drifts: string[] = [];
    const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(2_000)]);
    const watching = stage.backend?.watch((drift) => (abort.abort(), drifts.push(drift)), {
      signal,
    });
    meddle(stage);
    await watching;
    match(drifts.join(), /^somebody else changed /);
    stage.backend?.distrust();
    await stage.sync();
    await isAsMade(stage);
  });

  Deno.test(`a change finds ${what}, and it is repaired with it`, async () => {
    const stage = new Stage();
    stage.put("web", { endpoints: [A] });
    await stage.sync();
    meddle(stage);
    stage.put("db", { clusterIps: [parseIp("172.30.0.2")] });
    await stage.sync();
    stage.remove("db");
    await stage.sync();
    await isAsMade(stage);
  });
}

/** With the one Service "web" and its endpoint A. */
async function isAsMade(stage: Stage): Promise<void> {
  deepStrictEqual(stage.realServers(VIP), ["10.0.1.1:8080 1"]);
  deepStrictEqual(stage.ipvs.servers.get(VIP)?.server, plainVirtualServer(ADDRESS, "rr"));
  deepStrictEqual([...stage.links.addresses.get("kube-ipvs0") ?? []], ["172.30.0.1"]);
  deepStrictEqual(stage.entries("KUBE-CLUSTER-IP"), ["172.30.0.1,tcp:80"]);
  deepStrictEqual(stage.entries("KUBE-IPVS-IPS"), ["172.30.0.1"]);
  strictEqual((await stage.ipset.save("KUBE-")).size, SET_NAMES.length);
}

Deno.test("an entry that is missing in a large set is noticed by its count", async () => {
  const stage = new Stage();
  const endpoints = Array.from({ length: 2_100 }, (_, i) => `here 10.1.${i >> 8}.${i & 255}`);
  stage.put("web", { endpoints });
  await stage.sync();
  const loopback = stage.ipset.sets.get("KUBE-LOOP-BACK")?.entries ?? new Set();
  loopback.delete("10.1.0.7,tcp:8080,10.1.0.7");
  stage.put("web", { endpoints: endpoints.slice(1) });
  ok((await stage.sync()).full);
  strictEqual(loopback.size, 2_099);
  ok(stage.entries("KUBE-LOOP-BACK").includes("10.1.0.7,tcp:8080,10.1.0.7"));
});

Deno.test("watch() finds nothing wrong with what drains", async () => {
  const stage = await drainingStage();
  await stage.start({ syncPeriodMs: 1 });
  await stage.sync();
  const abort = new AbortController();
  const drifts: string[] = [];
  const watching = stage.backend?.watch((drift) => drifts.push(drift), { signal: abort.signal });
  await new Promise((resolve) => setTimeout(resolve, 20));
  abort.abort();
  await watching;
  deepStrictEqual(drifts, []);
});

Deno.test("a node port answers on an address that comes later", async () => {
  const stage = new Stage();
  const ports = [{ name: "http", protocol: "TCP", port: 80, nodePort: 30080 }] as const;
  stage.put("web", { type: "NodePort", ports, endpoints: [A] });
  await stage.sync();
  stage.hostAddresses = [
    ...stage.hostAddresses,
    { interfaceName: "eth1", ip: parseIp("192.168.0.3") },
  ];
  await stage.sync();
  deepStrictEqual(stage.realServers("192.168.0.3:30080/TCP"), ["10.0.1.1:8080 1"]);
});

Deno.test("two Services with the same external IP and port: one has it, then the other", async () => {
  const stage = new Stage();
  const externalIps = [parseIp("203.0.113.9")];
  stage.put("a", { clusterIps: [parseIp("172.30.0.1")], externalIps, endpoints: [A] });
  stage.put("b", { clusterIps: [parseIp("172.30.0.2")], externalIps, endpoints: [B] });
  await stage.sync();
  deepStrictEqual(stage.realServers(web("203.0.113.9")), ["10.0.1.1:8080 1"]);
  stage.remove("a");
  await stage.sync();
  deepStrictEqual(stage.realServers(web("203.0.113.9")), ["10.0.1.2:8080 1"]);
  deepStrictEqual(stage.entries("KUBE-EXTERNAL-IP"), ["203.0.113.9,tcp:80"]);
  stage.remove("b");
  await stage.sync();
  deepStrictEqual([stage.ipvs.servers.size, stage.entries("KUBE-EXTERNAL-IP")], [0, []]);
});

Deno.test("a set of another type is told, and everything else is programmed", async () => {
  const stage = new Stage();
  await stage.ipset.restore("create KUBE-LOOP-BACK hash:net family inet maxelem 65536\n");
  stage.put("web", { endpoints: [`here ${A}`] });
  await rejects(stage.sync(), (error) => {
    ok(error instanceof SyncError);
    match(error.message, /Cannot use set KUBE-LOOP-BACK: it is a hash:net/);
    return true;
  });
  deepStrictEqual(stage.realServers(VIP), ["10.0.1.1:8080 1"]);
  deepStrictEqual(stage.entries("KUBE-CLUSTER-IP"), ["172.30.0.1,tcp:80"]);
});

Deno.test("no rule names a set that is something else, and nothing is refused for it", async () => {
  const stage = new Stage();
  await stage.ipset.restore("create KUBE-CLUSTER-IP hash:ip,port family inet6 maxelem 65536\n");
  stage.put("web", { endpoints: [A] });
  await rejects(stage.sync(), /it is a hash:ip,port of IPv6/);
  const chains = ["KUBE-SERVICES", "KUBE-IPVS-FILTER"].map((chain) => stage.rules(chain));
  const rules = (await Promise.all(chains)).flat();
  ok(rules.length > 4);
  deepStrictEqual(rules.filter((rule) => /KUBE-CLUSTER-IP|REJECT/.test(rule)), []);
  deepStrictEqual(stage.realServers(VIP), ["10.0.1.1:8080 1"]);
});

Deno.test("without rules no new Service is reachable, but running ones are kept up to date", async () => {
  const stage = new Stage();
  stage.put("web", { endpoints: [A] });
  await stage.sync();
  stage.iptables.onRestore = () => {
    throw new Error("no lock");
  };
  stage.put("web", { endpoints: [A, B] });
  stage.put("db", { externalIps: [parseIp("203.0.113.9")], clusterIps: [parseIp("172.30.0.2")] });
  await rejects(stage.sync(), /no lock/);
  deepStrictEqual([...stage.ipvs.servers.keys()], [VIP]);
  strictEqual(stage.realServers(VIP).length, 2);
  stage.iptables.onRestore = () => {};
  await stage.sync();
  strictEqual(stage.ipvs.servers.size, 3);
});

Deno.test("a kube-ipvs0 that is no dummy is told at the start, and does not stop the rest", async () => {
  const stage = new Stage();
  stage.links.links.set("kube-ipvs0", { name: "kube-ipvs0", index: 9, kind: "veth" });
  await rejects(stage.start(), /kube-ipvs0: it is a veth device, not a dummy/);
  stage.links.links.clear();
  await stage.start();
  stage.links.links.set("kube-ipvs0", { name: "kube-ipvs0", index: 9, kind: "veth" });
  stage.put("web", { endpoints: [A] });
  await rejects(stage.sync(), /not a dummy/);
  deepStrictEqual(stage.realServers(VIP), ["10.0.1.1:8080 1"]);
});

Deno.test("what the kernel refuses is quarantined, everything else is programmed", async () => {
  const stage = new Stage();
  stage.put("web", { endpoints: [A] });
  stage.put("db", { clusterIps: [parseIp("172.30.0.2")], endpoints: [B] });
  const apply = stage.ipvs.apply.bind(stage.ipvs);
  stage.ipvs.apply = (changes) => {
    const bad = changes.filter((one) => "server" in one && one.server.address.ip === "172.30.0.2");
    const failures = bad.map((change) => {
      const error = new NetlinkError("add virtual server", { errno: 12 });
      return { index: changes.indexOf(change), error };
    });
    return { ...apply(changes.filter((one) => !bad.includes(one))), failures };
  };
  const report = await stage.sync();
  deepStrictEqual(report.quarantined.map(({ key }) => key), ["ns/db:http/TCP"]);
  ok(report.resyncAfterMs !== undefined);
  deepStrictEqual(stage.realServers(VIP), ["10.0.1.1:8080 1"]);
});

Deno.test("lost answers are no answers: the kernel is read again", async () => {
  const stage = new Stage();
  stage.put("web", { endpoints: [A] });
  await stage.sync();
  const apply = stage.ipvs.apply.bind(stage.ipvs);
  let isFirst = true;
  stage.ipvs.apply = (changes) => {
    const wasFirst = isFirst;
    isFirst = false;
    return wasFirst ? { failures: [], complete: false, bytesSent: 0 } : apply(changes);
  };
  stage.put("web", { endpoints: [A, B] });
  ok((await stage.sync()).full);
  strictEqual(stage.realServers(VIP).length, 2);
});

Deno.test("more than 65,536 entries: the set grows, nothing is dropped", async () => {
  const stage = new Stage();
  await stage.ipset.restore("create KUBE-CLUSTER-IP hash:ip,port family inet maxelem 2\n");
  for (let i = 1; i <= 5; i++) {
    stage.put(`s${i}`, { clusterIps: [parseIp(`172.30.0.${i}`)], endpoints: [A] });
  }
  await stage.sync();
  strictEqual(stage.ipset.sets.get("KUBE-CLUSTER-IP")?.maxElements, 65_536);
  strictEqual(stage.entries("KUBE-CLUSTER-IP").length, 5);
});

Deno.test("a ClusterIP that is an address of this node is warned of once", async () => {
  const stage = new Stage();
  stage.put("web", { clusterIps: [parseIp("192.168.0.2")], endpoints: [A] });
  await stage.sync();
  stage.put("web", { clusterIps: [parseIp("192.168.0.2")], endpoints: [A, B] });
  await stage.sync();
  strictEqual(stage.warnings.length, 1);
  strictEqual(stage.realServers(web("192.168.0.2")).length, 2);
});
