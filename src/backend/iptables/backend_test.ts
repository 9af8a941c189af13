import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { ExecError } from "../../kernel/exec/run.ts";
import { LockBusyError, RestoreError } from "../../kernel/iptables/errors.ts";
import { SyncError } from "../contract.ts";
import { Stage } from "../../../test/support/iptables_stage.ts";

/** Chains and rules of these texts, hashes shortened. */
function linesOf(texts: readonly string[]): readonly string[] {
  return texts.flatMap((text) => text.trimEnd().split("\n"));
}

function optionsOf(texts: readonly string[]): readonly string[] {
  return linesOf(texts).map((line) =>
    line.replace(/(KUBE-[A-Z]+)-[A-Z2-7]{16}/g, "$1-*").split(" ").slice(0, 2).join(" ")
  );
}

async function stageWith(count: number): Promise<Stage> {
  const stage = new Stage();
  for (let i = 0; i < count; i++) stage.put(`s${i}`, [`10.0.${i}.1`, `10.0.${i}.2`]);
  await stage.sync();
  return stage;
}

Deno.test("sync() of a changed endpoint writes the chains of its service and nothing else", async () => {
  const stage = await stageWith(20);
  stage.scale("s3", ["10.0.3.1", "10.0.3.9"]);
  const written = await stage.sync();
  strictEqual(written.length, 1);
  deepStrictEqual(optionsOf(written), [
    "*nat",
    ":KUBE-SEP-* -",
    ":KUBE-SVC-* -",
    ":KUBE-SEP-* -",
    "-A KUBE-SEP-*",
    "-A KUBE-SEP-*",
    "-A KUBE-SVC-*",
    "-A KUBE-SVC-*",
    "-A KUBE-SVC-*",
    "-X KUBE-SEP-*",
    "COMMIT",
  ]);
});

Deno.test("sync() of a new service adds single rules to shared chains", async () => {
  const stage = await stageWith(20);
  stage.put("new", ["10.0.99.1"]);
  const written = await stage.sync();
  deepStrictEqual(optionsOf(written), [
    "*nat",
    ":KUBE-SEP-* -",
    ":KUBE-SVC-* -",
    "-A KUBE-SEP-*",
    "-A KUBE-SEP-*",
    "-A KUBE-SVC-*",
    "-A KUBE-SVC-*",
    "-I KUBE-SERVICES",
    "COMMIT",
  ]);
});

Deno.test("sync() of a deleted service takes its rules out before its chains, in one commit", async () => {
  const stage = await stageWith(20);
  stage.remove("s3");
  const written = await stage.sync();
  deepStrictEqual(optionsOf(written), [
    "*nat",
    ":KUBE-SVC-* -",
    ":KUBE-SEP-* -",
    ":KUBE-SEP-* -",
    "-D KUBE-SERVICES",
    "-X KUBE-SVC-*",
    "-X KUBE-SEP-*",
    "-X KUBE-SEP-*",
    "COMMIT",
  ]);
});

Deno.test("sync() of a service that loses its last endpoint touches both tables", async () => {
  const stage = await stageWith(2);
  stage.scale("s1", []);
  const [written = ""] = await stage.sync();
  deepStrictEqual(written.match(/^\*\w+/gm), ["*filter", "*nat"]);
  stage.scale("s1", ["10.0.1.1"]);
  const [back = ""] = await stage.sync();
  ok(back.includes("-D KUBE-SERVICES -d 172.30.0.2/32 -p tcp"));
});

Deno.test("sync() writes a burst at once", async () => {
  const stage = await stageWith(50);
  for (let i = 0; i < 40; i++) stage.scale(`s${i}`, [`10.1.${i}.1`]);
  strictEqual((await stage.sync()).length, 1);
});

Deno.test("sync() deletes many rules by writing the chain anew", async () => {
  const stage = await stageWith(60);
  for (let i = 0; i < 50; i++) stage.remove(`s${i}`);
  const lines = linesOf(await stage.sync());
  strictEqual(lines.filter((line) => line.startsWith("-D")).length, 0);
  strictEqual(lines.filter((line) => line.startsWith("-A KUBE-SERVICES")).length, 11);
});

const STARTS = [["nf_tables", 4], ["legacy", 1]] as const;

for (const [variant, restores] of STARTS) {
  Deno.test(`sync() starts with ${restores} restores of 1000 services on ${variant}`, async () => {
    const stage = new Stage(variant);
    for (let i = 0; i < 1000; i++) {
      stage.put(`s${i}`, [`10.${i >> 8}.${i % 256}.1`, `10.${i >> 8}.${i % 256}.2`]);
    }
    const written = await stage.sync();
    strictEqual(written.length, restores);
    ok(written.every((text) => text.split("\n").length < 4_200 || variant === "legacy"));
    const first = written.findIndex((text) => text.includes(":KUBE-SERVICES"));
    strictEqual(first, restores - 1);
  });
}

Deno.test("sync() counts rules and bytes", async () => {
  const stage = await stageWith(2);
  stage.scale("s1", ["10.0.1.1"]);
  const report = await stage.backend.sync(stage.plan());
  // 2 services: 2 endpoint rules each, masquerade, spread, portal; 4 static rules and the tail.
  deepStrictEqual(report.rules, {
    filter: { owned: 4, written: 0 },
    nat: { owned: 5 + (4 + 1 + 2 + 1) + (2 + 1 + 1 + 1), written: 2 },
  });
  strictEqual(report.servicesChanged, 1);
  strictEqual(report.bytesWritten, stage.iptables.restores.at(-1)?.length);
  strictEqual(report.processes, 1);
});

Deno.test("a restart on a node in the right state writes nothing", async () => {
  const stage = await stageWith(5);
  const report = await stage.restarted().sync(stage.plan());
  ok(report.full);
  strictEqual(report.bytesWritten, 0);
});

Deno.test("a restart writes what changed meanwhile", async () => {
  const stage = await stageWith(5);
  stage.scale("s1", ["10.0.1.7"]);
  stage.remove("s2");
  stage.backend = stage.restarted();
  const options = optionsOf(await stage.sync());
  strictEqual(options.filter((each) => each === "-D KUBE-SERVICES").length, 1);
  strictEqual(options.filter((each) => each === ":KUBE-SVC-* -").length, 2);
});

Deno.test("distrust() has the next sync repair and say what others changed", async () => {
  const stage = await stageWith(5);
  await stage.iptables.restore("*nat\n:KUBE-MARK-MASQ - [0:0]\nCOMMIT\n");
  stage.backend.distrust();
  const written = await stage.sync();
  deepStrictEqual(optionsOf(written), [
    "*nat",
    ":KUBE-MARK-MASQ -",
    "-A KUBE-MARK-MASQ",
    "COMMIT",
  ]);
  deepStrictEqual(stage.logged, [{
    message: "Repairing rules that others changed",
    fields: { family: "IPv4", count: 1, chains: ["nat KUBE-MARK-MASQ"] },
  }]);
});

Deno.test("distrust() notices that a whole table was flushed", async () => {
  const stage = await stageWith(5);
  const before = await stage.iptables.save();
  const chains = [...before.get("nat")?.keys() ?? []];
  await stage.iptables.restore(`*nat\n${chains.map((c) => `:${c} - [0:0]`).join("\n")}\nCOMMIT\n`);
  stage.backend.distrust();
  await stage.sync();
  deepStrictEqual(await stage.iptables.save(), before);
});

Deno.test("sync() after a restore that failed reads the kernel and writes chains as a whole", async () => {
  const stage = await stageWith(5);
  const saves = stage.iptables.saves;
  stage.iptables.onRestore = () => {
    throw new ExecError("iptables-restore", { failure: "timeout" });
  };
  stage.put("new", ["10.9.9.9"]);
  await rejects(stage.sync(), SyncError);
  strictEqual(stage.iptables.saves, saves);
  stage.iptables.onRestore = () => {};
  const written = await stage.sync();
  strictEqual(stage.iptables.saves, saves + 1);
  ok(optionsOf(written).includes(":KUBE-SERVICES -"));
});

Deno.test("sync() without the xtables lock knows what is there", async () => {
  const stage = await stageWith(5);
  const saves = stage.iptables.saves;
  stage.iptables.onRestore = () => {
    const cause = new ExecError("iptables-restore", { failure: "exit", code: 4 });
    throw new LockBusyError("iptables-restore", { cause });
  };
  stage.put("new", ["10.9.9.9"]);
  const error: unknown = await stage.sync().catch((reason) => reason);
  ok(error instanceof SyncError && error.failures[0] instanceof LockBusyError);
  stage.iptables.onRestore = () => {};
  const report = await stage.backend.sync(stage.plan());
  strictEqual(report.processes, 1);
  strictEqual(report.lockTimeouts, 1);
  strictEqual(stage.iptables.saves, saves);
});

for (const variant of ["nf_tables", "legacy"] as const) {
  Deno.test(`sync() sets aside a service that ${variant} refuses, and tries it again later`, async () => {
    const stage = new Stage(variant);
    stage.iptables.refuses = (line) => line.includes('"ns/bad:http cluster IP"');
    for (const name of ["a", "b", "bad", "c"]) stage.put(name, ["10.0.0.1"]);
    const report = await stage.backend.sync(stage.plan());
    deepStrictEqual(report.quarantined.map(({ key }) => key), ["ns/bad:http/TCP"]);
    strictEqual(report.resyncAfterMs, 1_000);
    strictEqual((await stage.backend.sync(stage.plan())).resyncAfterMs, 2_000);
    const comments = [...(await stage.iptables.save()).get("nat")?.get("KUBE-SERVICES") ?? []]
      .map((rule) => /"ns\/(\w+):http cluster IP"/.exec(rule)?.[1]).filter(Boolean).sort();
    deepStrictEqual(comments, ["a", "b", "c"]);
    stage.iptables.refuses = () => false;
    const later = await stage.backend.sync(stage.plan());
    deepStrictEqual(later.quarantined, []);
    strictEqual(later.resyncAfterMs, undefined);
  });
}

Deno.test("sync() keeps the rules that a service had when its new ones are refused", async () => {
  const stage = await stageWith(3);
  const before = await stage.iptables.save();
  stage.iptables.refuses = (line) => line.includes("10.66.6.6");
  stage.scale("s1", ["10.66.6.6"]);
  const report = await stage.backend.sync(stage.plan());
  deepStrictEqual(report.quarantined.map(({ key }) => key), ["ns/s1:http/TCP"]);
  deepStrictEqual(await stage.iptables.save(), before);
});

Deno.test("sync() throws when rules that are nobody's are refused", async () => {
  const stage = new Stage();
  stage.iptables.refuses = (line) => line.startsWith("-A KUBE-POSTROUTING");
  stage.put("a", ["10.0.0.1"]);
  const error: unknown = await stage.sync().catch((reason) => reason);
  ok(error instanceof SyncError && error.failures[0] instanceof RestoreError);
  strictEqual(error.failures[0].table, "nat");
});

for (const variant of ["nf_tables", "legacy"] as const) {
  Deno.test(`sync() goes on without counters when ${variant} has no match on them`, async () => {
    const stage = new Stage(variant);
    stage.iptables.refuses = (line) => line.includes("-m nfacct");
    for (const name of ["a", "b", "c"]) {
      stage.put(name, ["10.0.0.1"], {
        ports: [{ name: "http", protocol: "TCP", port: 80, nodePort: 30_000 + name.charCodeAt(0) }],
      });
    }
    const report = await stage.backend.sync(stage.plan());
    deepStrictEqual(report.quarantined, []);
    strictEqual((await stage.iptables.save()).get("filter")?.get("KUBE-FORWARD")?.length, 3);
    strictEqual((await stage.iptables.save()).get("nat")?.get("KUBE-NODEPORTS")?.length, 3);
  });
}

Deno.test("sync() leaves stale chains that rules of others lead to, and says so", async () => {
  const stage = await stageWith(1);
  await stage.iptables.restore(
    "*nat\n:KUBE-SEP-OLD - [0:0]\n:KUBE-SVC-OLD - [0:0]\n-A KUBE-SVC-OLD -j KUBE-SEP-OLD\n" +
      "-A OUTPUT -j KUBE-SVC-OLD\nCOMMIT\n",
  );
  stage.backend.distrust();
  await stage.sync();
  const chains = (await stage.iptables.save()).get("nat");
  deepStrictEqual(chains?.get("KUBE-SVC-OLD"), []);
  ok(!chains?.has("KUBE-SEP-OLD"));
  strictEqual(stage.logged[0]?.message, "Stale chains stay, rules of others lead to them");
});

const NAMES = [
  ["quotes", 'a"b'],
  ["a line break", "a\n-A PREROUTING -j DROP\nCOMMIT"],
  ["an option", "a -j DROP"],
  ["253 characters", "n".repeat(253)],
  ["Unicode", "名前-é"],
] as const;

for (const [what, name] of NAMES) {
  Deno.test(`sync() of a service whose name has ${what} makes the same rules as of any other`, async () => {
    const shapeOf = async (given: string) => {
      const stage = new Stage();
      stage.put(given, ["10.0.0.1"]);
      await stage.sync();
      return linesOf(stage.iptables.restores).map((line) =>
        line.replace(/[A-Z2-7]{16}/g, "*").replace(/--comment "(?:[^"\\]|\\.)*"/, "--comment")
      );
    };
    deepStrictEqual(await shapeOf(name), await shapeOf("web"));
  });
}
