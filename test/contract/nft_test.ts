/**
 * The handles of nf_tables answer alike: the nft tool in a namespace, and the table in memory that
 * tests of the backend use. Needs root, iproute2 and nft.
 *
 * @module
 */

import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { FakeNft } from "../../src/kernel/nft/fake.ts";
import { isBusy, isNotFound, isRefused, type Nft } from "../../src/kernel/nft/nft.ts";
import type { ObservedTable } from "../../src/kernel/nft/observed.ts";
import { formatElement } from "../../src/kernel/nft/print.ts";
import { NftTool } from "../../src/kernel/nft/tool.ts";
import type {
  Chain,
  Command,
  NftMap,
  NftSet,
  Rule,
  Statement,
  TableName,
} from "../../src/kernel/nft/values.ts";
import { parseCidr, parseIp } from "../../src/model/ip.ts";
import { openNftNamespace } from "./nft_namespace.ts";

const TABLES: readonly TableName[] = [
  { family: "ip", name: "kube-proxy" },
  { family: "ip6", name: "kube-proxy" },
];

interface Kernel extends AsyncDisposable {
  readonly nft: Nft;
}

/** Handle by name. */
const KERNELS: readonly (readonly [string, () => Promise<Kernel>])[] = [
  ["FakeNft", () => Promise.resolve({ nft: new FakeNft(), async [Symbol.asyncDispose]() {} })],
  ["NftTool", async () => {
    const namespace = await openNftNamespace();
    return {
      nft: new NftTool({ run: namespace.run }),
      [Symbol.asyncDispose]: () => namespace[Symbol.asyncDispose](),
    };
  }],
  ["NetlinkNft", async () => {
    const namespace = await openNftNamespace();
    const nft = namespace.netlink();
    return {
      nft,
      async [Symbol.asyncDispose]() {
        nft.close();
        await namespace[Symbol.asyncDispose]();
      },
    };
  }],
];

const ADD_TABLE: Command = { op: "add-table", comment: "rules for kube-proxy" };

function addresses({ family }: TableName): { readonly a: string; readonly b: string } {
  return family === "ip" ? { a: "10.0.0.1", b: "10.0.0.2" } : { a: "fd00::1", b: "fd00::2" };
}

function setsOf({ family }: TableName) {
  const address = family === "ip" ? "ipv4_addr" : "ipv6_addr";
  const ips: NftSet = { kind: "set", name: "cluster-ips", type: [address], comment: "IPs" };
  const sticky: NftSet = {
    kind: "set",
    name: "affinity-X-a/b/tcp/",
    type: [address],
    timeoutSeconds: 10_800,
  };
  const services: NftMap = {
    kind: "map",
    name: "service-ips",
    type: [address, "inet_proto", "inet_service"],
    comment: "ClusterIP traffic",
  };
  return { ips, sticky, services };
}

const DROP: Statement = { kind: "drop" };

function rulesOf(...statements: readonly (readonly Statement[])[]): readonly Rule[] {
  return statements.map((list) => ({ statements: list }));
}

/** Every statement there is, in chains where the kernel takes it. */
function everyChain(table: TableName): readonly Chain[] {
  return [...matchChains(table), ...hookedChains(table)];
}

function matchChains(table: TableName): readonly Chain[] {
  const { ips, sticky, services } = setsOf(table);
  const [of1, ...others] = table.family === "ip"
    ? ["10.1.0.0/16", "10.2.0.0/15", "192.0.2.72/32"].map(parseCidr)
    : ["fd01::/64", "fd02::/48", "2001:db8::1/128"].map(parseCidr);
  if (of1 === undefined) throw new TypeError("no network");
  return [
    { name: "leaf", rules: rulesOf([DROP]) },
    { name: "empty", rules: [] },
    {
      name: "matches",
      comment: "all of them",
      rules: [
        ...rulesOf(
          [{ kind: "address", side: "saddr", of: [of1] }, DROP],
          [{ kind: "address", side: "daddr", not: true, of: [of1] }, { kind: "accept" }],
          [{ kind: "address", side: "saddr", not: true, of: [of1, ...others] }, { kind: "return" }],
          [{ kind: "in-set", key: ["daddr"], set: ips.name }, DROP],
          [{ kind: "iifname", name: "cni0" }, DROP],
          [{ kind: "iifname", not: true, name: "lxc-", prefix: true }, DROP],
          [{ kind: "ct-state", state: "new" }, { kind: "jump", chain: "leaf" }],
          [{ kind: "ct-status", status: "dnat" }, DROP],
          [{ kind: "fib-type", side: "saddr", type: "local" }, DROP],
          [{ kind: "fib-type", side: "daddr", type: "local" }, DROP],
          [{ kind: "l4proto", protocol: "sctp" }, DROP],
          [{ kind: "mark-any", bits: 0x4000 }, { kind: "mark-set", op: "xor", bits: 0x4000 }],
          [{ kind: "mark-any", bits: 0x80000000 }, {
            kind: "mark-set",
            op: "xor",
            bits: 0x80000000,
          }],
          [{ kind: "mark-any", bits: 1 }, { kind: "mark-set", op: "or", bits: 1 }],
          [{ kind: "pick-chain", chains: ["leaf", "empty"] }],
          [{ kind: "update", set: sticky.name, key: "saddr" }],
          [{ kind: "vmap", key: ["daddr", "l4proto", "dport"], map: services.name }],
        ),
        { statements: [{ kind: "goto", chain: "leaf" }], comment: "a remark; with { } # in it" },
      ],
    },
  ];
}

/** Chains that a hook leads to, since the kernel checks what may be done there. */
function hookedChains(table: TableName): readonly Chain[] {
  const { a, b } = addresses(table);
  const target = { ip: parseIp(a), port: 80 };
  const targets = [target, { ip: parseIp(b), port: 8080 }];
  return [
    {
      name: "translate",
      rules: rulesOf(
        [{ kind: "l4proto", protocol: "tcp" }, { kind: "dnat", target }],
        [{ kind: "l4proto", protocol: "udp" }, { kind: "pick-dnat", targets }],
        [{ kind: "l4proto", protocol: "udp" }, { kind: "pick-dnat", targets: [target] }],
      ),
    },
    {
      name: "first",
      base: { type: "nat", hook: "prerouting", priority: -100 },
      rules: rulesOf([{ kind: "jump", chain: "translate" }]),
    },
    {
      name: "last",
      base: { type: "nat", hook: "postrouting", priority: 100 },
      rules: rulesOf([{ kind: "masquerade" }]),
    },
    {
      name: "check",
      base: { type: "filter", hook: "input", priority: 0 },
      rules: rulesOf([{ kind: "reject" }]),
    },
  ];
}

function everything(table: TableName): readonly Command[] {
  const { a } = addresses(table);
  const { ips, sticky, services } = setsOf(table);
  const chains = everyChain(table);
  return [
    ADD_TABLE,
    ...[ips, sticky, services].map((set): Command => ({ op: "add-set", set })),
    ...chains.map(({ rules: _, ...chain }): Command => ({ op: "add-chain", chain })),
    ...chains.flatMap(({ name, rules }) =>
      rules.map((rule): Command => ({ op: "add-rule", chain: name, rule }))
    ),
    { op: "add-element", set: ips, element: { key: [a] } },
    {
      op: "add-element",
      set: services,
      element: {
        key: [a, "tcp", "80"],
        verdict: { kind: "goto", chain: "leaf" },
        comment: "ns/name:port",
      },
    },
    {
      op: "add-element",
      set: services,
      element: { key: [a, "sctp", "65535"], verdict: { kind: "drop" } },
    },
  ];
}

function elementsOf(observed: ObservedTable | undefined, name: string): readonly string[] {
  return [...observed?.sets.get(name)?.elements.values() ?? []].map(formatElement).sort();
}

interface Question {
  readonly does: string;
  readonly ask: (nft: Nft, table: TableName) => Promise<void>;
}

const QUESTIONS: readonly Question[] = [
  {
    does: "list() knows no table that nobody made",
    ask: async (nft, table) => strictEqual(await nft.list(table), undefined),
  },
  {
    does: "list() finds every chain, rule, set and element that was written",
    ask: async (nft, table) => {
      await nft.transact({ table, commands: everything(table) });
      const observed = await nft.list(table);
      for (const chain of everyChain(table)) {
        const found = observed?.chains.get(chain.name);
        deepStrictEqual(found?.rules, nft.fingerprints(chain, table), chain.name);
        deepStrictEqual(found?.base, chain.base);
      }
      strictEqual(observed?.chains.size, everyChain(table).length);
      const { a } = addresses(table);
      deepStrictEqual(elementsOf(observed, "cluster-ips"), [a]);
      deepStrictEqual(elementsOf(observed, "service-ips"), [
        `${a} . sctp . 65535 : drop`,
        `${a} . tcp . 80 comment "ns/name:port" : goto leaf`,
      ]);
      for (const set of Object.values(setsOf(table))) {
        const found = observed?.sets.get(set.name);
        deepStrictEqual([found?.kind, found?.type], [set.kind, set.type]);
      }
      strictEqual(observed?.sets.get("affinity-X-a/b/tcp/")?.timeoutSeconds, 10_800);
    },
  },
  {
    does: "transact() leaves everything as it was when one command is refused",
    ask: async (nft, table) => {
      await nft.transact({ table, commands: everything(table) });
      const before = await nft.list(table);
      const { ips } = setsOf(table);
      const { b } = addresses(table);
      await rejects(
        nft.transact({
          table,
          commands: [
            { op: "add-element", set: ips, element: { key: [b] } },
            { op: "flush-chain", chain: "matches" },
            { op: "delete-chain", chain: "leaf" },
          ],
        }),
        (error) => isRefused(error) && isBusy(error) && /delete chain.* leaf/.test(error.message),
      );
      deepStrictEqual(await nft.list(table), before);
    },
  },
  {
    does: "transact() names the command that jumps to nowhere",
    ask: async (nft, table) => {
      const rule = { statements: [{ kind: "goto", chain: "nowhere" }] } as const;
      await rejects(
        nft.transact({
          table,
          commands: [
            ADD_TABLE,
            { op: "add-chain", chain: { name: "x" } },
            { op: "add-rule", chain: "x", rule },
          ],
        }),
        (error) =>
          isNotFound(error) && error.index === 2 && /add rule .*goto nowhere/.test(error.message),
      );
    },
  },
  {
    does: "transact() refuses another verdict for a key, and takes it after a deletion",
    ask: async (nft, table) => {
      await nft.transact({ table, commands: everything(table) });
      const { services } = setsOf(table);
      const key = [addresses(table).a, "tcp", "80"];
      const add: Command = {
        op: "add-element",
        set: services,
        element: { key, verdict: { kind: "drop" } },
      };
      await rejects(
        nft.transact({ table, commands: [add] }),
        (error) => isRefused(error) && error.errno === "EEXIST",
      );
      await nft.transact({
        table,
        commands: [{ op: "delete-element", set: services, element: { key } }, add],
      });
      strictEqual(
        elementsOf(await nft.list(table), "service-ips")[1],
        `${addresses(table).a} . tcp . 80 : drop`,
      );
    },
  },
  {
    does: "transact() refuses to delete an element, a chain, a set that is not there",
    ask: async (nft, table) => {
      await nft.transact({ table, commands: everything(table) });
      const { ips } = setsOf(table);
      const absent: readonly Command[] = [
        { op: "delete-element", set: ips, element: { key: [addresses(table).b] } },
        { op: "delete-chain", chain: "absent" },
        { op: "flush-chain", chain: "absent" },
        { op: "delete-set", set: { ...ips, name: "absent" } },
      ];
      for (const command of absent) {
        await rejects(nft.transact({ table, commands: [command] }), isNotFound, command.op);
      }
    },
  },
  {
    does: "transact() takes a chain, a set and an element that are there already",
    ask: async (nft, table) => {
      await nft.transact({ table, commands: everything(table) });
      const before = await nft.list(table);
      const again = everything(table).filter(({ op }) => op !== "add-rule");
      await nft.transact({ table, commands: again });
      deepStrictEqual(await nft.list(table), before);
    },
  },
  {
    does: "transact() empties and deletes in one go what refers to each other",
    ask: async (nft, table) => {
      await nft.transact({ table, commands: everything(table) });
      const { sticky } = setsOf(table);
      await nft.transact({
        table,
        commands: [
          { op: "flush-chain", chain: "matches" },
          { op: "delete-set", set: sticky },
          { op: "delete-chain", chain: "matches" },
        ],
      });
      const observed = await nft.list(table);
      deepStrictEqual(
        [observed?.chains.has("matches"), observed?.sets.has(sticky.name)],
        [false, false],
      );
    },
  },
  {
    does: "transact() removes the table with all that is in it",
    ask: async (nft, table) => {
      await nft.transact({ table, commands: everything(table) });
      await nft.transact({ table, commands: [{ op: "delete-table" }] });
      strictEqual(await nft.list(table), undefined);
      await rejects(nft.transact({ table, commands: [{ op: "delete-table" }] }), isNotFound);
    },
  },
];

for (const [kind, open] of KERNELS) {
  for (const table of TABLES) {
    for (const { does, ask } of QUESTIONS) {
      Deno.test(`${kind} ${table.family}: ${does}`, async () => {
        await using kernel = await open();
        await ask(kernel.nft, table);
      });
    }
  }
}
