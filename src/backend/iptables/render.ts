/**
 * Plan -> Ruleset. An unchanged ServicePlan under an unchanged style keeps its entry, so that a
 * diff of two rulesets looks at what changed only.
 *
 * @module
 */

import type { Plan } from "../../model/plan.ts";
import type { Ruleset, ServiceRules } from "./ruleset.ts";
import { renderStatics } from "./statics.ts";
import { type BackendFacts, type ServiceStyle, serviceStyle } from "./style.ts";

/** Above this many endpoints kube-proxy leaves remarks out, as they are most of the text. */
const LARGE_CLUSTER_ENDPOINTS = 1000;

/** What iptables mode wants for this plan. */
export function renderRuleset(
  plan: Plan,
  { facts, previous }: { facts: BackendFacts; previous: Ruleset | undefined },
): Ruleset {
  const style = serviceStyle(facts, { node: plan.node, previous: previous?.style });
  const isSame = previous !== undefined && previous.plans === plan.services &&
    previous.style === style;
  const services = isSame
    ? previous.services
    : renderServices(plan, { style, previous: previous?.services });
  const statics = renderStatics(facts, { node: plan.node, previous: previous?.statics });
  return { statics, services, style, plans: plan.services };
}

function renderServices(
  plan: Plan,
  { style, previous }: { style: ServiceStyle; previous: Ruleset["services"] | undefined },
): Ruleset["services"] {
  const remarks = plan.endpointCount <= LARGE_CLUSTER_ENDPOINTS;
  const services = new Map<string, ServiceRules>();
  for (const [key, service] of plan.services) {
    const before = previous?.get(key);
    const isSame = before?.plan === service && before.style === style;
    services.set(key, isSame ? before : { plan: service, style, remarks });
  }
  return services;
}
