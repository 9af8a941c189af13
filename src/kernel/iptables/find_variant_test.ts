import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { type Fields, type Logger, SILENT } from "../../log.ts";
import { ExecError, type ExecFailure, type Run } from "../exec/run.ts";
import { findVariant } from "./find_variant.ts";
import { isMissingTool, openIptables } from "./iptables.ts";

const HINT = "*mangle\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n";
const MANGLE = "*mangle\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n";
const RULE = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j RETURN\nCOMMIT\n";

type Answer = string | { readonly failure: ExecFailure; readonly stdout?: string };

/** A host that has these tools; an answer to `tool args` is meant before one to `tool`. */
function host(answers: Readonly<Record<string, Answer>>): { run: Run; calls: string[] } {
  const calls: string[] = [];
  const run: Run = (command, args) => {
    const line = [command, ...args].join(" ");
    calls.push(line);
    const answer = answers[line] ?? answers[command] ?? { failure: "not-found" };
    if (typeof answer === "string") return Promise.resolve({ stdout: answer, stderr: "" });
    return Promise.reject(new ExecError(line, { code: 1, ...answer }));
  };
  return { run, calls };
}

const BOTH: Readonly<Record<string, Answer>> = {
  "iptables-nft": "iptables v1.8.9 (nf_tables)",
  "ip6tables-nft": "ip6tables v1.8.9 (nf_tables)",
  "iptables-legacy": "iptables v1.8.9 (legacy)",
  "ip6tables-legacy": "ip6tables v1.8.9 (legacy)",
  "iptables-nft-save": MANGLE,
  "ip6tables-nft-save": MANGLE,
  "iptables-legacy-save": "",
  "ip6tables-legacy-save": "",
  "ip6tables-legacy-restore": "",
};

const REFUSED = { failure: "exit" } as const;
const FOUND: readonly (readonly [string, Readonly<Record<string, Answer>>, string | undefined])[] =
  [
    ["plain tools", { ...BOTH, "iptables": "iptables v1.8.9 (legacy)" }, undefined],
    ["a plain tool that fails", { ...BOTH, "iptables": REFUSED }, undefined],
    ["a plain tool for IPv6", { ...BOTH, "ip6tables": "ip6tables v1.8.9 (legacy)" }, undefined],
    ["no tools at all", {}, undefined],
    ["nothing written", BOTH, "nft"],
    ["the hint in nft", { ...BOTH, "iptables-nft-save -t mangle": HINT }, "nft"],
    ["the hint in nft of IPv6", { ...BOTH, "ip6tables-nft-save -t mangle": HINT }, "nft"],
    ["the hint in legacy", { ...BOTH, "iptables-legacy-save": HINT }, "legacy"],
    ["the hint in legacy of IPv6", { ...BOTH, "ip6tables-legacy-save": HINT }, "legacy"],
    ["a rule in legacy", { ...BOTH, "iptables-legacy-save": RULE }, "legacy"],
    ["a rule in both", { ...BOTH, "iptables-nft-save": RULE, "iptables-legacy-save": RULE }, "nft"],
    [
      "rules of nft in two families, one of legacy",
      {
        ...BOTH,
        "iptables-nft-save": RULE,
        "ip6tables-nft-save": RULE,
        "iptables-legacy-save": RULE,
      },
      "nft",
    ],
    [
      "a kernel without nf_tables",
      { ...BOTH, "iptables-nft-save": REFUSED, "ip6tables-nft-save": REFUSED },
      "legacy",
    ],
    ["no IPv6 in nft", { ...BOTH, "ip6tables-nft-save": REFUSED }, "nft"],
    [
      "a table that nft alone can print, and the hint",
      { ...BOTH, "iptables-nft-save": { failure: "exit", stdout: HINT } },
      "nft",
    ],
    [
      "tools of nft only",
      { "iptables-nft": "iptables v1.8.9 (nf_tables)", "iptables-nft-save": MANGLE },
      "nft",
    ],
  ];

for (const [what, answers, want] of FOUND) {
  Deno.test(`findVariant() is ${want} with ${what}`, async () => {
    const found = await findVariant(host(answers).run);
    strictEqual(found?.choice.variant, want);
  });
}

Deno.test("findVariant() looks no further than the hint in nft", async () => {
  const { run, calls } = host({ ...BOTH, "iptables-nft-save -t mangle": HINT });
  await findVariant(run);
  deepStrictEqual(calls, [
    "iptables --version",
    "ip6tables --version",
    "iptables-nft-save -t mangle",
    "ip6tables-nft-save -t mangle",
  ]);
});

Deno.test("findVariant() never asks legacy for a table, which would make one", async () => {
  const { run, calls } = host(BOTH);
  await findVariant(run);
  const legacy = calls.filter((call) => call.includes("legacy"));
  deepStrictEqual(legacy, ["iptables-legacy-save", "ip6tables-legacy-save"]);
});

Deno.test("findVariant() does not guess when a tool hangs", async () => {
  const { run } = host({ ...BOTH, "iptables-nft-save": { failure: "timeout" } });
  await rejects(findVariant(run), ExecError);
});

Deno.test("openIptables() chooses once for both families, and says why", async () => {
  const { run, calls } = host({ ...BOTH, "ip6tables-legacy-save": HINT });
  const said: (readonly [string, Fields | undefined])[] = [];
  const log: Logger = { ...SILENT, info: (message, fields) => said.push([message, fields]) };
  const [first, second] = await Promise.all([
    openIptables("IPv4", { run, log }),
    openIptables("IPv6", { run, log }),
  ]);
  await first?.save("nat");
  await second?.restore("");
  deepStrictEqual(calls.slice(-2), [
    "iptables-legacy-save -t nat",
    "ip6tables-legacy-restore -w 5 --noflush --counters",
  ]);
  strictEqual(calls.filter((call) => call === "iptables-nft-save -t mangle").length, 1);
  deepStrictEqual(said, [["Chose the variant of iptables", {
    variant: "legacy",
    reason: "the kubelet uses it",
    rules: { nft: 0, legacy: 0 },
  }]]);
});

Deno.test("openIptables() takes the plain tools where there are any, whatever else there is", async () => {
  const plain = { "iptables": "iptables v1.8.9 (legacy)", "iptables-save": RULE };
  const { run, calls } = host({ ...BOTH, ...plain, "iptables-nft-save": HINT });
  const iptables = await openIptables("IPv4", { run });
  await iptables.save();
  strictEqual(iptables.version.variant, "legacy");
  deepStrictEqual(calls, ["iptables --version", "iptables-save"]);
});

Deno.test("openIptables() looks again after a search that found nothing", async () => {
  const answers: Record<string, Answer> = {};
  const { run } = host(answers);
  const error: unknown = await openIptables("IPv4", { run }).catch((reason) => reason);
  ok(isMissingTool(error));
  Object.assign(answers, BOTH);
  strictEqual((await openIptables("IPv4", { run })).version.variant, "nf_tables");
});
