import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { ExecError } from "../../kernel/exec/run.ts";
import { GROWING } from "../../kernel/ipset/restore.ts";
import { plainVirtualServer } from "../../kernel/ipvs/values.ts";
import { NetlinkError } from "../../kernel/netlink/errors.ts";
import { parseCidr, parseIp } from "../../model/ip.ts";
import { removalEdits } from "./cleanup.ts";
import { config, Stage, web } from "../../../test/support/ipvs_stage.ts";

Deno.test("open() sets what virtual servers need (IPVS-03)", async () => {
  const stage = new Stage();
  await stage.start();
  stage.sysctls.delete("kernel/osrelease");
  deepStrictEqual(Object.fromEntries(stage.sysctls), {
    "net/ipv4/vs/conntrack": "1",
    "net/ipv4/vs/expire_nodest_conn": "1",
    "net/ipv4/vs/expire_quiescent_template": "1",
    "net/ipv4/ip_forward": "1",
  });
});

const RELEASES = [["4.0.9", undefined], ["4.1.0", "0"], ["5.8.18-x", "0"], ["5.9.0", undefined]];
for (const [release = "", mode] of RELEASES) {
  Deno.test(`open() on kernel ${release}: conn_reuse_mode is ${mode}`, async () => {
    const stage = new Stage();
    stage.sysctls.set("kernel/osrelease", release);
    await stage.start();
    strictEqual(stage.sysctls.get("net/ipv4/vs/conn_reuse_mode"), mode);
  });
}

Deno.test("open() makes the node answer ARP as strictARP wants", async () => {
  const stage = new Stage();
  await stage.start({ strictArp: true });
  strictEqual(stage.sysctls.get("net/ipv4/conf/all/arp_ignore"), "1");
  strictEqual(stage.sysctls.get("net/ipv4/conf/all/arp_announce"), "2");
});

Deno.test("open() sets timeouts that are given and leaves the others (IPVS-04)", async () => {
  const stage = new Stage();
  await stage.start({ udpTimeoutMs: 250_000 });
  deepStrictEqual(stage.ipvs.timeouts, { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 250 });
});

Deno.test("open() refuses a scheduler that the kernel does not have, and says how to get it", async () => {
  const stage = new Stage();
  await rejects(stage.start({ scheduler: "fo" }), /"fo": .*modprobe ip_vs_fo/);
  strictEqual(stage.ipvs.servers.size, 0);
});

Deno.test("open() refuses a scheduler whose name is too long for the kernel", async () => {
  const stage = new Stage();
  const scheduler = "averyveryveryverylongname";
  const error = new NetlinkError("add virtual server", { errno: 22 });
  stage.ipvs.apply = () => ({ bytesSent: 0, complete: true, failures: [{ index: 1, error }] });
  await rejects(stage.start({ scheduler }), /Cannot use IPVS scheduler "averyvery/);
});

Deno.test("open() says which module is missing when the tool asks for its version", async () => {
  const stage = new Stage();
  const stderr = "ipset v7.17: Cannot open session to kernel.";
  stage.ipset.version = () =>
    Promise.reject(new ExecError("ipset version", { failure: "exit", stderr }));
  await rejects(stage.start(), /modprobe ip_set/);
});

Deno.test("open() refuses an ipset that is too old", async () => {
  const stage = new Stage();
  stage.ipset.version = () => Promise.resolve("4.5");
  await rejects(stage.start(), /ipset 4.5 is too old/);
});

Deno.test("open() says which module is missing when the kernel has no sets", async () => {
  const stage = new Stage();
  const stderr = "ipset v7.17: Cannot open session to kernel.";
  stage.ipset.save = () => Promise.reject(new ExecError("ipset save", { failure: "exit", stderr }));
  await rejects(stage.start(), /modprobe ip_set \(ipset v7.17: Cannot open session to kernel\.\)/);
});

Deno.test("scheduler mh takes ports into account (IPVS-17)", async () => {
  const stage = new Stage();
  await stage.start({ scheduler: "mh" });
  stage.put("web", { affinitySeconds: 60, endpoints: ["10.0.1.1"] });
  await stage.sync();
  const server = stage.ipvs.servers.get(web("172.30.0.1"))?.server;
  deepStrictEqual([server?.scheduler, server?.flags, server?.timeoutSeconds], ["mh", 0x11, 60]);
});

Deno.test("cleanup() leaves nothing of ours and all of others", async () => {
  const stage = new Stage();
  const ports = [{ name: "http", protocol: "TCP", port: 80, nodePort: 30080 }] as const;
  stage.put("web", { ports, externalIps: [parseIp("192.168.0.2")], endpoints: ["10.0.1.1"] });
  await stage.sync();
  await stage.ipset.restore(`create ${GROWING.IPv6} hash:ip family inet6 maxelem 131072\n`);
  const foreign = { ip: parseIp("203.0.113.77"), protocol: "TCP", port: 80 } as const;
  const excluded = { ip: parseIp("192.168.0.2"), protocol: "TCP", port: 30080 } as const;
  const server = plainVirtualServer(foreign, "rr");
  stage.ipvs.apply([{ kind: "add-virtual-server", server }]);
  const settings = config({ excludeCidrs: [parseCidr("192.168.0.0/24")] });
  deepStrictEqual(await stage.mode.cleanup({ config: settings, log: stage.log }), []);
  deepStrictEqual([...stage.ipvs.servers.keys()].sort(), [
    `${excluded.ip}:30080/TCP`,
    `${excluded.ip}:80/TCP`,
    "203.0.113.77:80/TCP",
  ]);
  deepStrictEqual(await stage.mode.cleanup({ config: config(), log: stage.log }), []);
  deepStrictEqual([stage.ipset.sets.size, stage.links.links.size], [0, 0]);
  for (const table of (await stage.iptables.save()).values()) {
    for (const [chain, rules] of table) {
      deepStrictEqual([chain.startsWith("KUBE-"), rules.length], [false, 0]);
    }
  }
});

Deno.test("cleanup() of a node without anything of ours opens nothing", async () => {
  const stage = new Stage();
  deepStrictEqual(await stage.mode.cleanup({ config: config(), log: stage.log }), []);
  deepStrictEqual(stage.steps, []);
});

Deno.test("removalEdits() beside iptables mode spares the chains both have", () => {
  const services = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES';
  const chains = new Map([
    ["PREROUTING", [services]],
    ["KUBE-SERVICES", ["-d 10.96.0.1/32 -j KUBE-SVC-A"]],
    ["KUBE-SVC-A", ["-j KUBE-MARK-MASQ"]],
    ["KUBE-MARK-MASQ", ["-j MARK --set-xmark 0x4000/0x4000"]],
    ["KUBE-NODE-PORT", ["-p tcp -j KUBE-MARK-MASQ"]],
    ["KUBE-LOAD-BALANCER", ["-j KUBE-MARK-MASQ"]],
  ]);
  const names = (spares: "nothing" | "shared chains"): string[] =>
    removalEdits(chains, { table: "nat", spares }).edits.map(({ kind, chain }) =>
      `${kind} ${chain}`
    );
  deepStrictEqual(names("shared chains"), [
    "remove KUBE-NODE-PORT",
    "remove KUBE-LOAD-BALANCER",
  ]);
  // KUBE-MARK-MASQ stays: a chain that iptables mode left still leads to it.
  deepStrictEqual(names("nothing"), [
    "delete PREROUTING",
    "remove KUBE-NODE-PORT",
    "remove KUBE-LOAD-BALANCER",
    "remove KUBE-SERVICES",
  ]);
});

Deno.test("removalEdits() leaves a table alone that ipvs mode was never in", () => {
  const chains = new Map([
    ["OUTPUT", ["-j KUBE-SERVICES"]],
    ["KUBE-SERVICES", ["-d 10.96.0.1/32 -j KUBE-SVC-A"]],
    ["KUBE-POSTROUTING", ["-j MASQUERADE"]],
    ["KUBE-MARK-MASQ", ["-j MARK --set-xmark 0x4000/0x4000"]],
  ]);
  deepStrictEqual(removalEdits(chains, { table: "nat", spares: "nothing" }).edits, []);
});

const [LOOPBACK] = new Stage().hostAddresses;

Deno.test("where no address takes node ports, neither does the health check (as kube-proxy)", async () => {
  const stage = new Stage();
  if (LOOPBACK !== undefined) stage.hostAddresses = [LOOPBACK];
  const balanced = {
    type: "LoadBalancer",
    externalTrafficPolicy: "Local",
    healthCheckNodePort: 32_000,
    endpoints: ["here 10.0.1.1"],
  } as const;
  const ports = (nodePort: number) =>
    [{ name: "http", protocol: "TCP", port: 80, nodePort }] as const;
  stage.put("web", { ...balanced, ports: ports(30_080) });
  await stage.sync();
  deepStrictEqual(stage.entries("KUBE-HEALTH-CHECK-NODE-PORT"), []);
  // Without node port it does not depend on one.
  stage.put("web", { ...balanced, ports: ports(0) });
  await stage.sync();
  deepStrictEqual(stage.entries("KUBE-HEALTH-CHECK-NODE-PORT"), ["32000"]);
});

Deno.test("an external IP that is the ClusterIP goes where outside traffic goes", async () => {
  const stage = new Stage();
  stage.put("web", {
    externalIps: [parseIp("172.30.0.1")],
    externalTrafficPolicy: "Local",
    endpoints: ["here 10.0.1.1", "10.0.1.2"],
  });
  await stage.sync();
  deepStrictEqual(stage.realServers(web("172.30.0.1")), ["10.0.1.1:8080 1"]);
});
