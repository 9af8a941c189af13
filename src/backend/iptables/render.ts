/**
 * Plan -> Ruleset. An unchanged ServicePlan under an unchanged style keeps its entry, so that a
 * diff of two rulesets looks at what changed only.
 *
 * @module
 */

import type { Plan } from "../../model/plan.ts";
import type { Ruleset, ServiceRules } from "./ruleset.ts";
import { renderStatics } from "./statics.ts";
import { type BackendFacts, serviceStyle } from "./style.ts";

/** Above this many endpoints kube-proxy leaves remarks out, as they are most of the text. */
const LARGE_CLUSTER_ENDPOINTS = 1000;

/** What iptables mode wants for this plan. */
export function renderRuleset(
  plan: Plan,
  { facts, previous }: { facts: BackendFacts; previous: Ruleset | undefined },
): Ruleset {
  const style = serviceStyle(facts, { node: plan.node, previous: previous?.style });
  const remarks = plan.endpointCount <= LARGE_CLUSTER_ENDPOINTS;
  const services = new Map<string, ServiceRules>();
  for (const [key, service] of plan.services) {
    const before = previous?.services.get(key);
    const isSame = before?.plan === service && before.style === style;
    services.set(key, isSame ? before : { plan: service, style, remarks });
  }
  const statics = renderStatics(facts, { node: plan.node, previous: previous?.statics });
  return { statics, services, style };
}
