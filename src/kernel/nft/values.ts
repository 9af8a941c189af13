/**
 * What nf_tables holds, as values: tables, chains, sets, verdict maps, elements, and rules whose
 * expressions are structure, not text. One value has two writers: print.ts makes nft's own words of
 * it, encode_rule.ts the kernel's netlink attributes.
 *
 * Only what a service proxy needs is here, and nothing that cannot be said in both languages.
 *
 * @module
 */

import type { Cidr, IpAddress } from "../../model/ip.ts";

/** Address families of tables. */
export type NftFamily = "ip" | "ip6";

/** Which table is meant. */
export interface TableName {
  readonly family: NftFamily;
  readonly name: string;
}

/** Transport protocols as nft spells them. */
export type L4Protocol = "tcp" | "udp" | "sctp";

/** Types of the parts of a key, as in `man nft`, DATA TYPES. */
export type DataType = "ipv4_addr" | "ipv6_addr" | "inet_proto" | "inet_service";

/** A named set of keys. */
export interface NftSet {
  readonly kind: "set";
  readonly name: string;
  /** One type per part of a concatenated key. */
  readonly type: readonly DataType[];
  /** Given: the set is filled by rules (`flags dynamic,timeout`) and forgets after this time. */
  readonly timeoutSeconds?: number;
  readonly comment?: string;
}

/** A named map from keys to verdicts. */
export interface NftMap {
  readonly kind: "map";
  readonly name: string;
  readonly type: readonly DataType[];
  readonly comment?: string;
}

/** What elements live in. */
export type Container = NftSet | NftMap;

/** Where a packet goes. */
export type Verdict =
  | { readonly kind: "accept" | "drop" | "return" }
  | { readonly kind: "goto" | "jump"; readonly chain: string };

/** An entry of a set, or of a map when it has a verdict. */
export interface Element {
  /** Canonical text of each part: `10.0.0.1`, `tcp`, `80`. */
  readonly key: readonly string[];
  readonly verdict?: Verdict;
  readonly comment?: string;
}

/** A part of a packet that is looked up in a set or map. */
export type Selector = "saddr" | "daddr" | "l4proto" | "dport";

/** An address and a port that packets are sent to. */
export interface NatTarget {
  readonly ip: IpAddress;
  readonly port: number;
}

/** One expression or statement of a rule. */
export type Statement =
  /** `ip saddr != { … }`: more than one network makes an anonymous interval set. */
  | {
    readonly kind: "address";
    readonly side: "saddr" | "daddr";
    readonly not?: boolean;
    readonly of: readonly Cidr[];
  }
  /** `ip saddr . meta l4proto @set` */
  | { readonly kind: "in-set"; readonly key: readonly Selector[]; readonly set: string }
  /** `iifname "lxc*"` */
  | {
    readonly kind: "iifname";
    readonly not?: boolean;
    readonly name: string;
    /** Any name that begins so. */
    readonly prefix?: boolean;
  }
  | { readonly kind: "ct-state"; readonly state: "new" }
  | { readonly kind: "ct-status"; readonly status: "dnat" }
  | { readonly kind: "fib-type"; readonly side: "saddr" | "daddr"; readonly type: "local" }
  | { readonly kind: "l4proto"; readonly protocol: L4Protocol }
  /** `meta mark & bits != 0` */
  | { readonly kind: "mark-any"; readonly bits: number }
  /** `meta mark set meta mark | bits` */
  | { readonly kind: "mark-set"; readonly op: "or" | "xor"; readonly bits: number }
  | { readonly kind: "vmap"; readonly key: readonly Selector[]; readonly map: string }
  /** `numgen random mod N vmap { 0 : goto a, … }` */
  | { readonly kind: "pick-chain"; readonly chains: readonly string[] }
  /** `dnat ip to numgen random mod N map { 0 : a . p, … }` */
  | { readonly kind: "pick-dnat"; readonly targets: readonly NatTarget[] }
  | { readonly kind: "dnat"; readonly target: NatTarget }
  /** `update @set { ip saddr }`: adds or refreshes an element that times out. */
  | { readonly kind: "update"; readonly set: string; readonly key: "saddr" | "daddr" }
  /** `masquerade fully-random` */
  | { readonly kind: "masquerade" }
  | { readonly kind: "reject" }
  | Verdict;

/** Statements, checked and done from left to right. */
export interface Rule {
  readonly statements: readonly Statement[];
  readonly comment?: string;
}

/** Where a base chain hangs. */
export interface BaseHook {
  readonly type: "filter" | "nat";
  readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
  readonly priority: number;
  /** What becomes of packets that no rule decides on; absent: they are accepted. */
  readonly policy?: "drop";
}

/** Whether two chains hang in the same place and decide the same at their end, or neither hangs. */
export function isSameHook(a: BaseHook | undefined, b: BaseHook | undefined): boolean {
  return a?.type === b?.type && a?.hook === b?.hook && a?.priority === b?.priority &&
    a?.policy === b?.policy;
}

/** A chain and its rules in order. */
export interface Chain {
  readonly name: string;
  /** Absent: a regular chain, reached by jump and goto only. */
  readonly base?: BaseHook;
  readonly comment?: string;
  readonly rules: readonly Rule[];
}

/** The part of a chain that `add chain` says. */
export type ChainHead = Omit<Chain, "rules">;

/** One line of a transaction. */
export type Command =
  | { readonly op: "add-table"; readonly comment: string }
  | { readonly op: "delete-table" }
  | { readonly op: "add-chain"; readonly chain: ChainHead }
  | { readonly op: "flush-chain" | "delete-chain"; readonly chain: string }
  | { readonly op: "add-rule"; readonly chain: string; readonly rule: Rule }
  | { readonly op: "add-set" | "delete-set"; readonly set: Container }
  | {
    readonly op: "add-element" | "delete-element";
    readonly set: Container;
    readonly element: Element;
  };

/** Ordered commands that the kernel takes as a whole or not at all. */
export interface Transaction {
  readonly table: TableName;
  readonly commands: readonly Command[];
}

/** The text that tells elements of one set apart. */
export function elementKey(element: Element): string {
  return element.key.join(" . ");
}
