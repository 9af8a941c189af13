/**
 * Removes what any version of this mode installs: jumps, its chains, canaries. KUBE-FIREWALL, its
 * rule, and the jumps to it are the kubelet's as well and stay. FACTS CLEAN-03, CLEAN-06.
 *
 * @module
 */

import { type Iptables, isMissingTool } from "../../kernel/iptables/iptables.ts";
import { formatRestore } from "../../kernel/iptables/restore.ts";
import type { Edit, Rule, Table, TableEdits, TableName } from "../../kernel/iptables/ruleset.ts";
import type { Logger } from "../../log.ts";
import type { IpFamily } from "../../model/ip.ts";
import { isServiceChain } from "./names.ts";
import { CANARY_CHAIN, FIREWALL_CHAIN, JUMPS, MARK_MASQ_CHAIN } from "./statics.ts";

/** Chains that are ours by name, by table. */
const OWN_CHAINS: Readonly<Partial<Record<TableName, readonly string[]>>> = {
  filter: [
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-FORWARD",
    "KUBE-NODEPORTS",
    "KUBE-PROXY-FIREWALL",
    CANARY_CHAIN,
  ],
  nat: ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", MARK_MASQ_CHAIN, CANARY_CHAIN],
  mangle: [CANARY_CHAIN],
};

/** Chains that ipvs mode has by the same names, and fills with rules of its own. */
const CHAINS_OF_IPVS: Readonly<Partial<Record<TableName, readonly string[]>>> = {
  filter: ["KUBE-FORWARD", "KUBE-PROXY-FIREWALL"],
  nat: ["KUBE-SERVICES", "KUBE-POSTROUTING", MARK_MASQ_CHAIN],
};

/** What stays: all that ipvs mode has too, or nothing. */
export type Spares = "nothing" | "what ipvs mode uses";

/** What has to go from one table, in two commits. */
export interface CleanupEdits {
  readonly jumps: readonly Edit[];
  readonly chains: readonly Edit[];
  /** Set when rules of others lead to chains of ours: then only the jumps go. */
  readonly inUse: { readonly chain: string; readonly rule: Rule } | undefined;
}

/** Cleans the tables of one family. Returns what went wrong; a missing tool is not wrong. */
export async function cleanupFamily(
  open: () => Promise<Iptables>,
  { family, log, spares = "nothing" }: { family: IpFamily; log: Logger; spares?: Spares },
): Promise<readonly Error[]> {
  const errors: Error[] = [];
  const attempt = async <T>(action: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await action();
    } catch (error) {
      if (isMissingTool(error)) return undefined;
      errors.push(error instanceof Error ? error : new Error(String(error), { cause: error }));
      return undefined;
    }
  };
  const iptables = await attempt(open);
  const tables = iptables && await attempt(() => iptables.save());
  if (iptables === undefined || tables === undefined) return errors;
  for (const [table, chains] of tables) {
    const edits = cleanupEdits(chains, { table, spares });
    const removed = edits.inUse === undefined ? edits.chains : [];
    for (const step of [edits.jumps, removed]) {
      if (step.length > 0) await attempt(() => restoreTable(iptables, { table, edits: step }));
    }
    if (edits.inUse !== undefined) errors.push(inUseError(table, edits.inUse));
    log.v(2, "Cleaned up iptables", { family, table, chains: removed.length });
  }
  return errors;
}

/** What of this mode is in a table. */
export function cleanupEdits(
  chains: Table,
  { table, spares }: { table: TableName; spares: Spares },
): CleanupEdits {
  const spared = spares === "nothing" ? [] : CHAINS_OF_IPVS[table] ?? [];
  const jumps = JUMPS
    .filter((jump) => jump.table === table && jump.to !== FIREWALL_CHAIN)
    // Where the chain is shared the jump is too, but for those to the firewall of load balancers.
    .filter(({ to }) => !spared.includes(to) || to === "KUBE-PROXY-FIREWALL")
    .flatMap(({ from, rule }) => {
      const times = chains.get(from)?.filter((each) => each === rule).length ?? 0;
      return Array<Edit>(times).fill({ kind: "delete", chain: from, rule });
    });
  const own = [...chains.keys()].filter((name) => isOwn(table, name) && !spared.includes(name));
  return {
    jumps,
    chains: own.map((chain): Edit => ({ kind: "remove", chain })),
    inUse: foreignUse(chains, { own: new Set(own), jumps }),
  };
}

function isOwn(table: TableName, chain: string): boolean {
  return (OWN_CHAINS[table] ?? []).includes(chain) || (table === "nat" && isServiceChain(chain));
}

/** A chain that something jumps to cannot be deleted. */
function foreignUse(
  chains: Table,
  { own, jumps }: { own: ReadonlySet<string>; jumps: readonly Edit[] },
): CleanupEdits["inUse"] {
  const gone = new Set(jumps.map((edit) => `${edit.chain} ${"rule" in edit ? edit.rule : ""}`));
  for (const [chain, rules] of chains) {
    if (own.has(chain)) continue;
    for (const rule of rules) {
      const target = /(?:^| )-[jg] (\S+)/.exec(rule)?.[1];
      if (target !== undefined && own.has(target) && !gone.has(`${chain} ${rule}`)) {
        return { chain, rule };
      }
    }
  }
  return undefined;
}

function restoreTable(iptables: Iptables, edits: TableEdits): Promise<void> {
  return iptables.restore(formatRestore([edits]).text);
}

function inUseError(table: TableName, { chain, rule }: { chain: string; rule: Rule }): Error {
  return new Error(
    `Cannot remove the chains of table ${table}: a rule of others leads to one of them: ` +
      `-A ${chain} ${rule}`,
  );
}
