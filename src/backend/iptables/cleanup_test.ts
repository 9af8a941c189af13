import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { ExecError } from "../../kernel/exec/run.ts";
import type { FakeIptables } from "../../kernel/iptables/fake.ts";
import { SILENT } from "../../log.ts";
import { Stage } from "../../../test/support/iptables_stage.ts";
import { cleanupFamily } from "./cleanup.ts";

async function cleanup(iptables: FakeIptables): Promise<readonly Error[]> {
  return await cleanupFamily(() => Promise.resolve(iptables), { family: "IPv4", log: SILENT });
}

async function running(): Promise<Stage> {
  const stage = new Stage();
  stage.put("web", ["10.0.0.1"], { ports: [{ name: "a", protocol: "TCP", port: 1, nodePort: 2 }] });
  stage.put("none", []);
  await stage.sync();
  return stage;
}

Deno.test("cleanupFamily() leaves what the kubelet and others need", async () => {
  const { iptables } = await running();
  await iptables.restore("*nat\n:OTHERS - [0:0]\n-A PREROUTING -j OTHERS\nCOMMIT\n");
  deepStrictEqual(await cleanup(iptables), []);
  const tables = await iptables.save();
  deepStrictEqual([...tables.get("nat") ?? []], [
    ["PREROUTING", ["-j OTHERS"]],
    ["INPUT", []],
    ["OUTPUT", []],
    ["POSTROUTING", []],
    ["OTHERS", []],
  ]);
  const filter = tables.get("filter");
  deepStrictEqual([...filter?.keys() ?? []].sort(), [
    "FORWARD",
    "INPUT",
    "KUBE-FIREWALL",
    "OUTPUT",
  ]);
  deepStrictEqual(filter?.get("INPUT"), ["-j KUBE-FIREWALL"]);
  strictEqual(filter?.get("KUBE-FIREWALL")?.length, 1);
  ok(!tables.get("mangle")?.has("KUBE-PROXY-CANARY"));
});

Deno.test("cleanupFamily() spares what ipvs mode, which is active, has too (CLEAN-02)", async () => {
  const { iptables } = await running();
  // ipvs mode has filled the chains of the same name with rules of its own.
  await iptables.restore("*nat\n:KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES -j RETURN\nCOMMIT\n");
  const spares = "what ipvs mode uses";
  const errors = await cleanupFamily(() => Promise.resolve(iptables), {
    family: "IPv4",
    log: SILENT,
    spares,
  });
  deepStrictEqual(errors, []);
  const tables = await iptables.save();
  deepStrictEqual(
    [...tables.get("nat")?.keys() ?? []].filter((name) => /^KUBE/.test(name)).sort(),
    [
      "KUBE-MARK-MASQ",
      "KUBE-POSTROUTING",
      "KUBE-SERVICES",
    ],
  );
  strictEqual(tables.get("nat")?.get("OUTPUT")?.length, 1);
  strictEqual(tables.get("nat")?.get("POSTROUTING")?.length, 1);
  const filter = [...tables.get("filter")?.keys() ?? []].filter((name) => /^KUBE/.test(name));
  deepStrictEqual(filter.sort(), ["KUBE-FIREWALL", "KUBE-FORWARD", "KUBE-PROXY-FIREWALL"]);
  deepStrictEqual(tables.get("filter")?.get("FORWARD")?.map((rule) => /-j (\S+)/.exec(rule)?.[1]), [
    "KUBE-FORWARD",
  ]);
});

Deno.test("cleanupFamily() of a clean node writes nothing", async () => {
  const { iptables } = await running();
  await cleanup(iptables);
  const restores = iptables.restores.length;
  deepStrictEqual(await cleanup(iptables), []);
  strictEqual(iptables.restores.length, restores);
});

Deno.test("cleanupFamily() takes only the jumps while rules of others lead to our chains", async () => {
  const { iptables } = await running();
  await iptables.restore("*nat\n-A OUTPUT -s 10.9.9.9/32 -j KUBE-SERVICES\nCOMMIT\n");
  const [error] = await cleanup(iptables);
  ok(error?.message.endsWith("-A OUTPUT -s 10.9.9.9/32 -j KUBE-SERVICES"));
  const nat = (await iptables.save()).get("nat");
  deepStrictEqual(nat?.get("OUTPUT"), ["-s 10.9.9.9/32 -j KUBE-SERVICES"]);
  deepStrictEqual(nat?.get("PREROUTING"), []);
  ok((nat?.get("KUBE-SERVICES")?.length ?? 0) > 0);
});

Deno.test("cleanupFamily() without the tools has nothing to do", async () => {
  const cause = new ExecError("ip6tables", { failure: "not-found" });
  const open = () => Promise.reject(new Error("not installed", { cause }));
  deepStrictEqual(await cleanupFamily(open, { family: "IPv6", log: SILENT }), []);
});

Deno.test("cleanupFamily() goes on with other tables after an error", async () => {
  const { iptables } = await running();
  iptables.onRestore = (text) => {
    if (text.startsWith("*nat")) throw new Error("refused");
  };
  strictEqual((await cleanup(iptables)).length, 2);
  ok(!(await iptables.save()).get("filter")?.has("KUBE-SERVICES"));
});
