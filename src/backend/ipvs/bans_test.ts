import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { parseCidr, parseIp } from "../../model/ip.ts";
import { Stage, web } from "../../../test/support/ipvs_stage.ts";

const VIP = parseIp("203.0.113.9");
const [A, B] = ["10.0.1.1", "10.0.1.2"];

const BALANCED = {
  type: "LoadBalancer",
  loadBalancerIps: [VIP],
  loadBalancerSourceRanges: [parseCidr("198.51.100.0/24")],
  endpoints: [A],
} as const;

/** A kernel without xt_ipvs, and a load balancer that this node must not reach. */
async function stageWithoutXtIpvs(): Promise<Stage> {
  const stage = new Stage();
  stage.iptables.refuses = (line) => line.includes("-m ipvs ");
  await stage.sync();
  stage.put("balanced", BALANCED);
  stage.put("db", { clusterIps: [parseIp("172.30.0.2")], endpoints: [B] });
  return stage;
}

/** What is there of the load balancer. */
async function partsOf(stage: Stage): Promise<unknown[]> {
  return [
    stage.realServers(web(VIP)),
    stage.entries("KUBE-LOAD-BALANCER-FW"),
    stage.links.addresses.get("kube-ipvs0")?.has(VIP),
    (await stage.rules("KUBE-IPVS-OUT-FILTER")).length,
  ];
}

Deno.test("without xt_ipvs one load balancer is left out, and every other Service is served", async () => {
  const stage = await stageWithoutXtIpvs();
  const { quarantined, resyncAfterMs } = await stage.sync();
  deepStrictEqual(quarantined.map(({ key }) => key), ["ns/balanced:http/TCP"]);
  match(quarantined[0]?.reason ?? "", /modprobe xt_ipvs/);
  ok(resyncAfterMs !== undefined);
  deepStrictEqual(await partsOf(stage), [[], [], false, 0]);
  deepStrictEqual(stage.realServers(web("172.30.0.1")), ["10.0.1.1:8080 1"]);
  deepStrictEqual(stage.realServers(web("172.30.0.2")), ["10.0.1.2:8080 1"]);
});

Deno.test("without xt_ipvs a change of another Service still costs one batch", async () => {
  const stage = await stageWithoutXtIpvs();
  await stage.sync();
  stage.put("db", { clusterIps: [parseIp("172.30.0.2")], endpoints: [A, B] });
  const report = await stage.sync();
  deepStrictEqual([stage.steps.length, report.processes, report.full], [1, 0, false]);
  deepStrictEqual(report.quarantined.map(({ key }) => key), ["ns/balanced:http/TCP"]);
});

Deno.test("the load balancer is served when the same is asked again after modprobe xt_ipvs", async () => {
  const stage = await stageWithoutXtIpvs();
  await stage.sync();
  stage.iptables.refuses = () => false;
  deepStrictEqual((await stage.sync()).quarantined, []);
  deepStrictEqual(await partsOf(stage), [
    ["10.0.1.1:8080 1"],
    ["203.0.113.9,tcp:80"],
    true,
    1,
  ]);
});

Deno.test("a load balancer is not taken down when something else is what was refused", async () => {
  const stage = new Stage();
  stage.put("balanced", BALANCED);
  await stage.sync();
  stage.iptables.refuses = (line) => line.includes("KUBE-EXTERNAL-IP");
  stage.put("db", {
    clusterIps: [parseIp("172.30.0.2")],
    externalIps: [parseIp("203.0.113.7")],
    endpoints: [B],
  });
  await rejects(stage.sync(), /iptables-restore/);
  deepStrictEqual(stage.realServers(web(VIP)), ["10.0.1.1:8080 1"]);
  strictEqual((await stage.rules("KUBE-IPVS-OUT-FILTER")).length, 1);
});

Deno.test("a load balancer is not left out when rules were refused for a moment only", async () => {
  const stage = new Stage();
  await stage.sync();
  stage.put("balanced", BALANCED);
  let refusals = 1;
  stage.iptables.refuses = (line) => line.includes("-m ipvs ") && refusals-- > 0;
  deepStrictEqual((await stage.sync()).quarantined, []);
  deepStrictEqual(stage.realServers(web(VIP)), ["10.0.1.1:8080 1"]);
  strictEqual((await stage.rules("KUBE-IPVS-OUT-FILTER")).length, 1);
});
