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
import { type ServicePlace, servicePlace, type ServiceWish, serviceWish } from "./service_wish.ts";
import type { RuleFacts } from "./set_rules.ts";
import type { SetName } from "./sets.ts";

/** What the wish depends on beside the plan; fixed while the backend is open. */
export type ModeFacts = Pick<
  RuleFacts,
  "family" | "masqueradeBit" | "masqueradeAll" | "randomFully"
>;

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
  readonly rules: RuleWish;
}

/** The wish for a plan; parts of `previous` that are still right are the same objects. */
export function renderWish(
  plan: Plan,
  { facts, previous }: { facts: ModeFacts; previous: IpvsWish | undefined },
): IpvsWish {
  const place = servicePlace(plan.node, previous?.place);
  const services = renderServices(plan, { place, previous: previous?.services });
  const { localTraffic } = plan.node;
  if (services === previous?.services && localTraffic === previous.localTraffic) return previous;
  const rules = renderRules(services, { ...facts, localTraffic });
  return { family: plan.family, services, place, localTraffic, rules };
}

function renderServices(
  plan: Plan,
  { place, previous }: { place: ServicePlace; previous: IpvsWish["services"] | undefined },
): IpvsWish["services"] {
  const services = new Map<string, ServiceWish>();
  let reused = 0;
  for (const [key, service] of plan.services) {
    const old = previous?.get(key);
    const isSame = old?.plan === service && old.place === place;
    if (isSame) reused++;
    services.set(key, isSame ? old : serviceWish(service, place));
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
