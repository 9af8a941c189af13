/**
 * The handles of iptables answer alike: the real tools of both variants and families in a namespace
 * of their own, and the fake that tests of the backend use. Needs root and iptables.
 *
 * @module
 */

import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { type Run, run } from "../../src/kernel/exec/run.ts";
import { LockBusyError, RestoreError } from "../../src/kernel/iptables/errors.ts";
import { FakeIptables } from "../../src/kernel/iptables/fake.ts";
import { type Iptables, openIptables } from "../../src/kernel/iptables/iptables.ts";
import { commentMatch } from "../../src/kernel/iptables/quote.ts";
import { formatRule, portMatch, randomMatch } from "../../src/kernel/iptables/rule.ts";
import { rulesOf } from "../../src/kernel/iptables/ruleset.ts";
import { openTableMonitor } from "../../src/kernel/iptables/table_monitor.ts";
import type { IptablesVariant } from "../../src/kernel/iptables/version.ts";
import { IP_FAMILIES, type IpFamily } from "../../src/model/ip.ts";
import { inNamespace } from "./inside.ts";

interface Kernel {
  readonly name: string;
  readonly variant: IptablesVariant;
  readonly family: IpFamily;
  readonly isReal: boolean;
  open(): Promise<Iptables>;
}

const VARIANTS = ["nf_tables", "legacy"] as const;

/** `iptables-save` of a variant is `iptables-nft-save` or `iptables-legacy-save`. */
function toolsOf(variant: IptablesVariant): Run {
  const infix = variant === "legacy" ? "-legacy" : "-nft";
  return (command, args, options) =>
    run(command.replace(/^(ip6?tables)/, `$1${infix}`), args, options);
}

const KERNELS: readonly Kernel[] = VARIANTS.flatMap((variant) =>
  IP_FAMILIES.flatMap((family): readonly Kernel[] => [
    {
      name: `fake ${variant}, ${family}`,
      variant,
      family,
      isReal: false,
      open: () => Promise.resolve(new FakeIptables({ family, variant })),
    },
    {
      name: `real ${variant}, ${family}`,
      variant,
      family,
      isReal: true,
      async open() {
        const tools = toolsOf(variant);
        for (const table of ["nat", "filter", "mangle"]) {
          const tool = family === "IPv4" ? "iptables" : "ip6tables";
          await tools(tool, ["-t", table, "-F"]);
          await tools(tool, ["-t", table, "-X"]);
        }
        return await openIptables(family, { run: tools });
      },
    },
  ])
);

/** Restores that are refused, with what has to be there before. */
const REFUSED = [
  ["a jump to nowhere", "", ":A - [0:0]\n-A A -j NOSUCH"],
  ["a rule in no chain", "", "-A NOSUCH -j RETURN"],
  ["deleting a rule that is not there", ":A - [0:0]", "-D A -j ACCEPT"],
  ["deleting a chain that is not there", "", "-X NOSUCH"],
  ["deleting a chain with rules", ":A - [0:0]\n-A A -j RETURN", "-X A"],
  ["deleting a chain in use", ":A - [0:0]\n:B - [0:0]\n-A A -j B", "-X B"],
] as const;

/** Accepted ones, with what the chain holds afterwards. */
const ACCEPTED = [
  ["declaring empties", ":A - [0:0]\n-A A -j RETURN", ":A - [0:0]", []],
  ["others stay", ":A - [0:0]\n-A A -j RETURN", ":B - [0:0]", ["-j RETURN"]],
  ["appending", ":A - [0:0]\n-A A -j RETURN", "-A A -j ACCEPT", ["-j RETURN", "-j ACCEPT"]],
  ["prepending", ":A - [0:0]\n-A A -j RETURN", "-I A -j ACCEPT", ["-j ACCEPT", "-j RETURN"]],
  [
    "deleting takes the first of equals",
    ":A - [0:0]\n-A A -j RETURN\n-A A -j ACCEPT\n-A A -j RETURN",
    "-D A -j RETURN",
    ["-j ACCEPT", "-j RETURN"],
  ],
  [
    "replacing a chain together with what it needs, and deleting what it needed",
    ":B - [0:0]\n:A - [0:0]\n-A A -j B",
    ":C - [0:0]\n:A - [0:0]\n:B - [0:0]\n-A C -j RETURN\n-A A -j C\n-X B",
    ["-j C"],
  ],
] as const;

function nat(lines: string): string {
  return `*nat\n${lines}${lines && "\n"}COMMIT\n`;
}

const NASTY = [
  "ns/web:http",
  `ns/a"b'c\\d\\`,
  'x" -j DROP',
  "x\n-A PREROUTING -j DROP\nCOMMIT\n",
  "tab\there",
  "COMMIT",
  "*nat",
  "$(reboot) `id` ${HOME}",
  "-j DROP",
  "! --comment",
  "déjà/вю 名前 😀",
  `${"x".repeat(253)}"'\\`,
  "é".repeat(200),
  "'".repeat(255),
  " ",
];

const CHANGED = { yes: true, no: false } as const;

inNamespace(import.meta.url, () => {
  for (const kernel of KERNELS) testAnswers(kernel);
  for (const kernel of KERNELS.filter(({ isReal }) => isReal)) {
    testPrinting(kernel);
    testNames(kernel);
  }
  testLock();
});

function testAnswers({ name, open }: Kernel): void {
  for (const [what, before, text] of REFUSED) {
    Deno.test(`${name}: ${what} is refused, and nothing changes`, async () => {
      const iptables = await open();
      await iptables.restore(nat(before));
      const was = await iptables.save("nat");
      await rejects(iptables.restore(nat(text)), RestoreError);
      deepStrictEqual(await iptables.save("nat"), was);
    });
  }
  for (const [what, before, text, want] of ACCEPTED) {
    Deno.test(`${name}: ${what}`, async () => {
      const iptables = await open();
      await iptables.restore(nat(before));
      await iptables.restore(nat(text));
      deepStrictEqual(rulesOf(await iptables.save(), { table: "nat", chain: "A" }), want);
    });
  }
  Deno.test(`${name}: tables before a refused one are committed`, async () => {
    const iptables = await open();
    const filter = "*filter\n:A - [0:0]\n-A A -j DROP\nCOMMIT\n";
    await rejects(iptables.restore(filter + nat("-A NOSUCH -j RETURN")), RestoreError);
    deepStrictEqual(rulesOf(await iptables.save(), { table: "filter", chain: "A" }), ["-j DROP"]);
  });
  Deno.test(`${name}: a refused line leads to its table and number`, async () => {
    const iptables = await open();
    const error: unknown = await iptables.restore(nat(":A - [0:0]\n-A NOSUCH -j RETURN"))
      .catch((reason) => reason);
    ok(error instanceof RestoreError);
    strictEqual(error.table, "nat");
    deepStrictEqual(error.lines, [3]);
  });
}

function testPrinting({ name, family, open }: Kernel): void {
  Deno.test(`${name}: rules are printed as they are written`, async () => {
    const iptables = await open();
    const rules = sampleRules(family);
    const lines = [":T - [0:0]", ":A - [0:0]", ...rules.map((rule) => `-A A ${rule}`)];
    await iptables.restore(`*filter\n${lines.join("\n")}\nCOMMIT\n`);
    deepStrictEqual(rulesOf(await iptables.save(), { table: "filter", chain: "A" }), rules);
  });
  Deno.test(`${name}: rules of nat are printed as they are written`, async () => {
    const iptables = await open();
    const rules = sampleNatRules(family);
    await iptables.restore(
      nat([":A - [0:0]", ...rules.map((rule) => `-A A ${rule}`)].join("\n")),
    );
    deepStrictEqual(rulesOf(await iptables.save(), { table: "nat", chain: "A" }), rules);
  });
}

function testNames({ name, open }: Kernel): void {
  Deno.test(`${name}: no text in a comment becomes anything but a comment`, async () => {
    const iptables = await open();
    const rules = NASTY.map((text) => formatRule({ matches: [commentMatch(text)] }));
    await iptables.restore(
      nat([":A - [0:0]", ...rules.map((rule) => `-A A ${rule}`)].join("\n")),
    );
    const tables = await iptables.save();
    deepStrictEqual(rulesOf(tables, { table: "nat", chain: "A" }), rules);
    deepStrictEqual([...tables.get("nat")?.keys() ?? []].filter((each) => each.length === 1), [
      "A",
    ]);
  });
  Deno.test(`${name}: the monitor notices others and not ourselves`, async () => {
    const iptables = await open();
    using monitor = openTableMonitor(iptables);
    monitor.markRead();
    const write = monitor.startWrite();
    await iptables.restore("*filter\n:A - [0:0]\nCOMMIT\n*nat\n:A - [0:0]\n:B - [0:0]\nCOMMIT\n");
    write.end({ commits: 2 });
    deepStrictEqual(monitor.hasChanged(), CHANGED.no);
    await iptables.restore(nat(":C - [0:0]"));
    deepStrictEqual(monitor.hasChanged(), CHANGED.yes);
  });
}

function testLock(): void {
  Deno.test("legacy: a busy lock is an error of its own", async () => {
    const iptables = await openIptables("IPv4", { run: toolsOf("legacy") });
    const holder = new Deno.Command("flock", {
      args: ["--no-fork", "/run/xtables.lock", "sleep", "20"],
      stdin: "null",
    }).spawn();
    try {
      await new Promise((resolve) => setTimeout(resolve, 300));
      await rejects(iptables.restore(nat(":A - [0:0]")), LockBusyError);
    } finally {
      holder.kill();
      await holder.status;
    }
  });
}

/** One of each form that the backend writes into filter, in canonical text. */
function sampleRules(family: IpFamily): readonly string[] {
  const isIpv4 = family === "IPv4";
  const [host, network] = isIpv4
    ? ["10.96.0.1/32", "10.244.0.0/16"]
    : ["fd00::1/128", "fd00:10::/48"];
  const icmp = isIpv4 ? "icmp" : "icmp6";
  const refuse = `REJECT --reject-with ${icmp}-port-unreachable`;
  const comment = commentMatch("ns/web:http has no endpoints");
  return [
    ...["tcp", "udp", "sctp"].map((protocol) =>
      formatRule({
        destination: host,
        protocol,
        matches: [comment, portMatch(protocol, 80)],
        target: refuse,
      })
    ),
    formatRule({
      protocol: "tcp",
      matches: [comment, "-m addrtype --dst-type LOCAL", portMatch("tcp", 30080)],
      target: "DROP",
    }),
    "-m conntrack --ctstate INVALID -j DROP",
    `${commentMatch("kubernetes forwarding rules")} -m mark --mark 0x4000/0x4000 -j ACCEPT`,
    `${commentMatch("x y")} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    formatRule({ source: { not: network }, destination: host, target: "T" }),
    formatRule({ destination: host, inInterface: { not: "cni0" }, target: "T" }),
    formatRule({ inInterface: "lxc-+", target: "T" }),
    formatRule({ matches: [comment] }),
    `-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP`,
  ];
}

function sampleNatRules(family: IpFamily): readonly string[] {
  const isIpv4 = family === "IPv4";
  const mask = isIpv4 ? "255.255.255.255" : "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  const to = isIpv4 ? "10.244.1.1:8080" : "[fd00:10::1]:8080";
  const counts = [2, 3, 7, 49, 950, 2048, 4096, 9999];
  return [
    "-j MARK --set-xmark 0x4000/0x4000",
    "-j MARK --set-xmark 0x80000000/0x0",
    "-m mark ! --mark 0x80000000/0x80000000 -j RETURN",
    `${commentMatch("a b")} -j MASQUERADE --random-fully`,
    `-m recent --rcheck --seconds 10800 --reap --name A --mask ${mask} --rsource -j RETURN`,
    `-p tcp -m recent --set --name A --mask ${mask} --rsource -m tcp -j DNAT --to-destination ${to}`,
    `-p sctp ${commentMatch("a b")} -m sctp -j DNAT --to-destination ${to}`,
    `${commentMatch("a b")} -m addrtype --src-type LOCAL -j RETURN`,
    ...counts.map((count) => `${randomMatch(count)} -j RETURN`),
  ];
}
