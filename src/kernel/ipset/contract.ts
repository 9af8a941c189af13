/**
 * What every {@linkcode Ipset} and {@linkcode SetList} does: the tables that the fake answers in a
 * unit test, and the real tool and kernel in a network namespace.
 *
 * @module
 */

import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { conflictError, diffSets } from "./diff.ts";
import type { Ipset } from "./ipset.ts";
import type { SetList } from "./list.ts";
import { formatDestroy, formatRestore } from "./restore.ts";
import type { IpSet, SetHeader } from "./values.ts";

/** One behaviour. The sets are gone before the next. */
export interface ContractCase {
  readonly title: string;
  readonly check: (ipset: Ipset) => Promise<void>;
}

const HASHES = [
  ["KUBE-A", "hash:ip", ["10.0.0.1", "10.0.0.2"]],
  ["KUBE-B", "hash:ip,port", ["10.0.0.1,tcp:80", "10.0.0.1,sctp:80"]],
  ["KUBE-C", "hash:ip,port,ip", ["10.0.0.1,udp:53,10.0.0.1"]],
  ["KUBE-D", "hash:ip,port,net", ["10.0.0.1,tcp:80,10.0.0.0/8", "10.0.0.1,tcp:80,10.1.1.1"]],
] as const;

const SETS: readonly IpSet[] = [
  ...HASHES.map(([name, type, entries]) => hash({ name, type, entries })),
  {
    header: {
      name: "KUBE-6-LOAD-BALANCER-SOURCE-CID",
      type: "hash:ip,port,net",
      family: "IPv6",
      maxElements: 65_536,
    },
    entries: new Set(["fd00::1,tcp:80,2001:db8::/48"]),
  },
  { header: { name: "KUBE-P", type: "bitmap:port" }, entries: new Set(["80", "30000"]) },
];

function hash(
  { name, type, entries }: {
    name: string;
    type: "hash:ip" | "hash:ip,port" | "hash:ip,port,ip" | "hash:ip,port,net";
    entries: readonly string[];
  },
): IpSet {
  const header: SetHeader = { name, type, family: "IPv4", maxElements: 65_536 };
  return { header, entries: new Set(entries) };
}

/** Makes the kernel's sets what is wanted. */
async function apply(ipset: Ipset, desired: readonly IpSet[]): Promise<void> {
  const { changes, conflicts } = diffSets(await ipset.save("KUBE-"), desired);
  deepStrictEqual(conflicts, []);
  await ipset.restore(formatRestore(changes));
}

async function entriesOf(ipset: Ipset, name: string): Promise<string[]> {
  return [...(await ipset.save("KUBE-")).get(name)?.entries ?? []].sort();
}

/** The table. */
export const IPSET_CONTRACT: readonly ContractCase[] = [
  {
    title: "sets of every type are read back as they were wanted",
    async check(ipset) {
      await apply(ipset, SETS);
      deepStrictEqual(diffSets(await ipset.save("KUBE-"), SETS), { changes: [], conflicts: [] });
      deepStrictEqual(await entriesOf(ipset, "KUBE-D"), [
        "10.0.0.1,tcp:80,10.0.0.0/8",
        "10.0.0.1,tcp:80,10.1.1.1",
      ]);
    },
  },
  {
    title: "only sets of the prefix asked for are read",
    async check(ipset) {
      await apply(ipset, SETS);
      deepStrictEqual([...(await ipset.save("KUBE-6-")).keys()], [
        "KUBE-6-LOAD-BALANCER-SOURCE-CID",
      ]);
      strictEqual((await ipset.save("OTHER-")).size, 0);
    },
  },
  {
    title: "entries come and go",
    async check(ipset) {
      await apply(ipset, SETS);
      await apply(ipset, [hash({ name: "KUBE-A", type: "hash:ip", entries: ["10.0.0.3"] })]);
      deepStrictEqual(await entriesOf(ipset, "KUBE-A"), ["10.0.0.3"]);
      deepStrictEqual(await entriesOf(ipset, "KUBE-P"), ["30000", "80"]);
    },
  },
  {
    title: "adding what is there and removing what is not are fine",
    async check(ipset) {
      await apply(ipset, SETS);
      await ipset.restore("add KUBE-A 10.0.0.1\ndel KUBE-A 10.9.9.9\n");
      deepStrictEqual(await entriesOf(ipset, "KUBE-A"), ["10.0.0.1", "10.0.0.2"]);
    },
  },
  {
    title: "a set that is too small grows and keeps what it has",
    async check(ipset) {
      await ipset.restore("create KUBE-A hash:ip family inet maxelem 4\nadd KUBE-A 10.0.0.1\n");
      const entries = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"];
      await apply(ipset, [hash({ name: "KUBE-A", type: "hash:ip", entries })]);
      const set = (await ipset.save("KUBE-")).get("KUBE-A");
      deepStrictEqual([set?.maxElements, set?.entries.size], [65_536, 5]);
      strictEqual((await ipset.save("KUBE-")).size, 1);
    },
  },
  {
    title: "a set of the same name and another type is told, and left alone",
    async check(ipset) {
      await ipset.restore("create KUBE-B hash:ip family inet maxelem 65536\n");
      const { changes, conflicts } = diffSets(await ipset.save("KUBE-"), SETS);
      ok(!changes.some(({ header }) => header.name === "KUBE-B"));
      deepStrictEqual(conflicts.map((conflict) => conflictError(conflict).message), [
        "Cannot use set KUBE-B: it is a hash:ip of IPv4, not a hash:ip,port of IPv4; " +
        'remove it with "ipset destroy KUBE-B" and it is made again',
      ]);
    },
  },
  {
    title: "a line that the tool refuses is told by its number",
    async check(ipset) {
      await apply(ipset, SETS);
      const lines = "add KUBE-A 10.0.0.7\nadd KUBE-NO 10.0.0.1\n";
      await rejects(ipset.restore(lines), /line 2: .*does not exist/);
    },
  },
  {
    title: "sets are removed",
    async check(ipset) {
      await apply(ipset, SETS);
      await ipset.restore(formatDestroy(SETS.map(({ header }) => header.name)));
      strictEqual((await ipset.save("KUBE-")).size, 0);
    },
  },
];

/** One behaviour of looking. The sets are gone before the next. */
export interface ListCase {
  readonly title: string;
  readonly check: (sets: { readonly ipset: Ipset; readonly list: SetList }) => Promise<void>;
}

const isOurs = (name: string): boolean => name.startsWith("KUBE-");

/** The table of looking. */
export const SET_LIST_CONTRACT: readonly ListCase[] = [
  {
    title: "what is listed is what the tool saves, in the same words",
    async check({ ipset, list }) {
      await apply(ipset, SETS);
      const listed = list.list({ isWanted: isOurs, what: "entries" });
      const saved = [...await ipset.save("KUBE-")].map(([name, { type, entries }]) => {
        return [name, { type, count: entries.size, entries }] as const;
      });
      deepStrictEqual(listed, new Map(saved));
    },
  },
  {
    title: "counts come without entries, and only of the sets wanted",
    async check({ ipset, list }) {
      await apply(ipset, SETS);
      const isWanted = (name: string): boolean => name === "KUBE-B";
      const counted = new Map([["KUBE-B", { type: "hash:ip,port", count: 2, entries: undefined }]]);
      deepStrictEqual(list.list({ isWanted, what: "counts" }), counted);
    },
  },
  {
    title: "a set that takes several messages is listed as one",
    async check({ ipset, list }) {
      const ips = Array.from({ length: 20_000 }, (_, i) => `10.7.${i >> 8}.${i & 255}`);
      await apply(ipset, [hash({ name: "KUBE-A", type: "hash:ip", entries: ips })]);
      const found = list.list({ isWanted: isOurs, what: "entries" }).get("KUBE-A");
      deepStrictEqual(found, { type: "hash:ip", count: 20_000, entries: new Set(ips) });
    },
  },
  {
    title: "sets are listed when there are none",
    check({ list }) {
      strictEqual(list.list({ isWanted: isOurs, what: "entries" }).size, 0);
      return Promise.resolve();
    },
  },
];
