/**
 * Removes what this mode installs and nothing else: virtual servers that its sets name, the dummy
 * device, jumps and chains, the sets of both families. FACTS CLEAN-04, CLEAN-06 and vipd's
 * decision there; where nothing of ours is found nothing is done.
 *
 * @module
 */

import type { ObservedSet } from "../../kernel/ipset/values.ts";
import { formatDestroy, GROWING } from "../../kernel/ipset/restore.ts";
import { type Iptables, isMissingTool } from "../../kernel/iptables/iptables.ts";
import { formatRestore } from "../../kernel/iptables/restore.ts";
import type { Edit, Table, TableEdits } from "../../kernel/iptables/ruleset.ts";
import type { VirtualServer } from "../../kernel/ipvs/values.ts";
import { isNotFound } from "../../kernel/netlink/errors.ts";
import {
  type Cidr,
  containsIp,
  familyOf,
  IP_FAMILIES,
  type IpAddress,
  type IpFamily,
} from "../../model/ip.ts";
import type { Logger } from "../../log.ts";
import type { CleanupOptions, LeftoverOptions } from "../contract.ts";
import { DEVICE, type IpvsHost } from "./host.ts";
import { JUMPS } from "./jumps.ts";
import { kernelSetName, SET_NAMES, type SetName } from "./sets.ts";

/** Chains of this mode; those of `shared` are iptables mode's as well. */
const CHAINS: Readonly<Record<"nat" | "filter", Readonly<Record<"own" | "shared", string[]>>>> = {
  nat: {
    own: ["KUBE-NODE-PORT", "KUBE-LOAD-BALANCER"],
    shared: ["KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"],
  },
  filter: {
    own: [
      "KUBE-NODE-PORT",
      "KUBE-SOURCE-RANGES-FIREWALL",
      "KUBE-IPVS-FILTER",
      "KUBE-IPVS-OUT-FILTER",
    ],
    shared: ["KUBE-FORWARD", "KUBE-PROXY-FIREWALL"],
  },
};

/** Removes everything of both families. Returns what went wrong. */
export async function cleanup(
  host: IpvsHost,
  { config, log }: CleanupOptions,
): Promise<readonly Error[]> {
  return await remove(host, { excludeCidrs: config.ipvs.excludeCidrs, spares: "nothing", log });
}

/** Removes what another mode does not use. Returns what went wrong. */
export async function removeLeftovers(
  host: IpvsHost,
  { config, active, log }: LeftoverOptions,
): Promise<readonly Error[]> {
  if (active === "ipvs") return [];
  const spares = active === "iptables" ? "shared chains" : "nothing";
  return await remove(host, { excludeCidrs: config.ipvs.excludeCidrs, spares, log });
}

/** What a cleanup leaves in place. */
export interface Scope {
  readonly excludeCidrs: readonly Cidr[];
  readonly spares: "nothing" | "shared chains";
  readonly log: Logger;
}

async function remove(host: IpvsHost, scope: Scope): Promise<readonly Error[]> {
  const errors: Error[] = [];
  const attempt = async <T>(step: () => Promise<T> | T): Promise<T | undefined> => {
    try {
      return await step();
    } catch (error) {
      errors.push(error instanceof Error ? error : new Error(String(error), { cause: error }));
      return undefined;
    }
  };
  const sets = await attempt(() => readSets(host)) ?? new Map<string, ObservedSet>();
  const addresses = await attempt(() => removeDevice(host)) ?? [];
  await attempt(() => removeServers(host, { sets, addresses, ...scope }));
  for (const family of IP_FAMILIES) await attempt(() => removeRules(host, { family, ...scope }));
  // The last, because rules referred to them.
  if (sets.size > 0) await attempt(() => removeSets(host, [...sets.keys()]));
  return errors;
}

/** Our sets by the kernel's names. Without the tool there are none. */
async function readSets(host: IpvsHost): Promise<ReadonlyMap<string, ObservedSet>> {
  const ours = new Set(IP_FAMILIES.flatMap((family) => [
    ...SET_NAMES.map((set) => kernelSetName(set, family)),
    GROWING[family], // of a run that was killed while a set grew
  ]));
  try {
    const found = await host.ipset.save("KUBE-");
    return new Map([...found].filter(([name]) => ours.has(name)));
  } catch (error) {
    if (isMissingTool(error)) return new Map();
    throw error;
  }
}

/** All at once; the tool stops at one that is in use, so then one by one. */
async function removeSets({ ipset }: IpvsHost, names: readonly string[]): Promise<void> {
  try {
    await ipset.restore(formatDestroy(names));
  } catch {
    const left = await ipset.save("KUBE-");
    const errors: unknown[] = [];
    for (const name of names.filter((each) => left.has(each))) {
      await ipset.restore(formatDestroy([name])).catch((error) => errors.push(error));
    }
    if (errors.length > 0) {
      throw new AggregateError(errors, `Cannot remove sets: ${errors.join("; ")}`);
    }
  }
}

/** Returns the addresses it had. */
function removeDevice(host: IpvsHost): readonly IpAddress[] {
  using links = host.openLinks();
  const link = links.find(DEVICE);
  if (link?.kind !== "dummy") return [];
  const addresses = IP_FAMILIES.flatMap((family) => links.listAddresses(link, family));
  links.remove(link);
  return addresses;
}

/** kube-proxy flushes everything, also what is not its own (CLEAN-04). */
function removeServers(
  host: IpvsHost,
  found: {
    readonly sets: ReadonlyMap<string, ObservedSet>;
    readonly addresses: readonly IpAddress[];
    readonly excludeCidrs: readonly Cidr[];
  },
): void {
  // Opening would load the module only to find nothing.
  if (found.sets.size === 0 && found.addresses.length === 0) return;
  using ipvs = host.openIpvs();
  const isOurs = ownership(found);
  const ours = ipvs.listVirtualServers().filter(({ address }) => {
    return !found.excludeCidrs.some((cidr) => containsIp(cidr, address.ip)) && isOurs(address);
  });
  const { failures } = ipvs.apply(ours.map(({ address }) => {
    return { kind: "delete-virtual-server", address };
  }));
  const bad = failures.map(({ error }) => error).filter((error): boolean => !isNotFound(error));
  if (bad.length > 0) throw new AggregateError(bad, bad.map(({ message }) => message).join("; "));
}

const PORTAL_SETS: readonly SetName[] = [
  "KUBE-CLUSTER-IP",
  "KUBE-EXTERNAL-IP",
  "KUBE-EXTERNAL-IP-LOCAL",
  "KUBE-LOAD-BALANCER",
  "KUBE-NODE-PORT-SCTP-HASH",
];

/** Tells by sets and addresses whether a virtual server was made by this mode. */
function ownership(
  { sets, addresses }: {
    readonly sets: ReadonlyMap<string, ObservedSet>;
    readonly addresses: readonly IpAddress[];
  },
): (address: VirtualServer["address"]) => boolean {
  const bound = new Set(addresses);
  return ({ ip, protocol, port }) => {
    const family = familyOf(ip);
    const has = (set: SetName, entry: string): boolean =>
      sets.get(kernelSetName(set, family))?.entries.has(entry) ?? false;
    const portal = `${ip},${protocol.toLowerCase()}:${port}`;
    if (bound.has(ip) || PORTAL_SETS.some((set) => has(set, portal))) return true;
    return protocol !== "SCTP" && has(`KUBE-NODE-PORT-${protocol}`, String(port));
  };
}

/** Jumps first: a chain that something jumps to cannot be deleted. */
async function removeRules(
  host: IpvsHost,
  { family, spares, log }: { family: IpFamily } & Pick<Scope, "spares" | "log">,
): Promise<void> {
  let iptables: Iptables;
  try {
    iptables = await host.openIptables(family, log);
  } catch (error) {
    if (isMissingTool(error)) return;
    throw error;
  }
  for (const [table, chains] of await iptables.save()) {
    if (table !== "nat" && table !== "filter") continue;
    const edits = removalEdits(chains, { table, spares });
    if (edits.edits.length > 0) await iptables.restore(formatRestore([edits]).text);
  }
}

/** What has to go from one table. */
export function removalEdits(
  chains: Table,
  { table, spares }: { table: "nat" | "filter"; spares: Scope["spares"] },
): TableEdits {
  const { own, shared } = CHAINS[table];
  const ours = new Set([...own, ...shared]);
  const others = [...chains].filter(([chain]) => !ours.has(chain));
  // A chain that rules of others lead to must stay, as those of iptables mode may.
  const isFree = (name: string): boolean =>
    others.every(([chain, rules]) =>
      rules.every((rule) => targetOf(rule) !== name || isJump(rule, { table, chain }))
    );
  // ipvs mode always has its own chains too: without them the shared ones are iptables mode's.
  const isPresent = own.some((name) => chains.has(name));
  const unshared = spares === "nothing" && isPresent ? shared.filter(isFree) : [];
  const gone = new Set([...own, ...unshared].filter((name) => chains.has(name)));
  const isLeading = (chain: string, rule: string): boolean =>
    gone.has(targetOf(rule) ?? "") || (spares === "shared chains" && isOddJump(chain, rule));
  const deletions = [...chains].filter(([chain]) => !gone.has(chain)).flatMap(([chain, rules]) =>
    rules.filter((rule) => ours.has(chain) || isJump(rule, { table, chain }))
      .filter((rule) => isLeading(chain, rule))
      .map((rule): Edit => ({ kind: "delete", chain, rule }))
  );
  const removals = [...gone].map((chain): Edit => ({ kind: "remove", chain }));
  return { table, edits: [...deletions, ...removals] };
}

function isJump(rule: string, { table, chain }: { table: string; chain: string }): boolean {
  return JUMPS.some((jump) => jump.table === table && jump.from === chain && jump.rule === rule);
}

/** The one jump to a shared chain that iptables mode writes in another form. */
function isOddJump(chain: string, rule: string): boolean {
  return targetOf(rule) === "KUBE-PROXY-FIREWALL" && isJump(rule, { table: "filter", chain });
}

function targetOf(rule: string): string | undefined {
  return /(?:^| )-[jg] (\S+)/.exec(rule.replace(/"(?:[^"\\]|\\.)*"/g, '""'))?.[1];
}
