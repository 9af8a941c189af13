/**
 * Plan -> what ipvs mode wants of the kernel for one family. Two levels, Service -> its wishes, so
 * that what did not change is the same object.
 *
 * @module
 */

import type { Chain, Rule } from "../../kernel/iptables/ruleset.ts";
import type { IpFamily } from "../../model/ip.ts";
import type { LocalTraffic, Plan } from "../../model/plan.ts";
import { filterChains } from "./filter_rules.ts";
import { natChains } from "./nat_rules.ts";
import {
  curtailedWish,
  type ServicePlace,
  servicePlace,
  type ServiceWish,
  serviceWish,
} from "./service_wish.ts";
import type { RuleFacts } from "./set_rules.ts";
import type { SetName } from "./sets.ts";

/** What the wish depends on beside the plan; fixed while the backend is open. */
export type ModeFacts = Pick<
  RuleFacts,
  "family" | "masqueradeBit" | "masqueradeAll" | "randomFully"
>;

/** Whether the kernel takes rules that keep this node from a load balancer (`-m ipvs`). */
export type NodeBan = "enforced" | "refused";

/** Chains of both tables, in the order in which kube-proxy writes them. */
export interface RuleWish {
  readonly nat: readonly Chain[];
  readonly filter: readonly Chain[];
}

/** Everything wanted for one family. */
export interface IpvsWish {
  readonly family: IpFamily;
  /** By ServicePortName.key. */
  readonly services: ReadonlyMap<string, ServiceWish>;
  readonly place: ServicePlace;
  readonly localTraffic: LocalTraffic;
  readonly nodeBan: NodeBan;
  /** ServicePortName.keys of those that go without load balancer, as their ban is refused. */
  readonly curtailed: readonly string[];
  readonly rules: RuleWish;
}

/** What a wish is made with. */
export interface RenderOptions {
  readonly facts: ModeFacts;
  readonly nodeBan: NodeBan;
  readonly previous: IpvsWish | undefined;
}

/** The wish for a plan; parts of `previous` that are still right are the same objects. */
export function renderWish(plan: Plan, { facts, nodeBan, previous }: RenderOptions): IpvsWish {
  const place = servicePlace(plan.node, previous?.place);
  const old = previous?.nodeBan === nodeBan ? previous : undefined;
  const services = renderServices(plan, { place, nodeBan, previous: old?.services });
  const { localTraffic } = plan.node;
  if (services === old?.services && localTraffic === old.localTraffic) return old;
  const rules = renderRules(services, { ...facts, localTraffic });
  const curtailed = [...services].filter(([, { isCurtailed }]) => isCurtailed).map(([key]) => key);
  return { family: plan.family, services, place, localTraffic, nodeBan, curtailed, rules };
}

function renderServices(
  plan: Plan,
  { place, nodeBan, previous }: Pick<IpvsWish, "place" | "nodeBan"> & {
    previous: IpvsWish["services"] | undefined;
  },
): IpvsWish["services"] {
  const services = new Map<string, ServiceWish>();
  const render = nodeBan === "enforced" ? serviceWish : curtailedWish;
  let reused = 0;
  for (const [key, service] of plan.services) {
    const old = previous?.get(key);
    const isSame = old?.plan === service && old.place === place;
    if (isSame) reused++;
    services.set(key, isSame ? old : render(service, place));
  }
  return previous?.size === reused && services.size === reused ? previous : services;
}

function renderRules(
  services: IpvsWish["services"],
  facts: ModeFacts & Pick<RuleFacts, "localTraffic">,
): RuleWish {
  const used = new Set<SetName>();
  const outFilterRules: Rule[] = [];
  for (const { entries, outFilterRules: rules } of services.values()) {
    for (const [set] of entries) used.add(set);
    outFilterRules.push(...rules);
  }
  // They only drop, so their order is free: sorted they are the same whatever comes first.
  outFilterRules.sort();
  const all: RuleFacts = { ...facts, isUsed: (set) => used.has(set), outFilterRules };
  return { nat: natChains(all), filter: filterChains(all) };
}
