/**
 * One Service and its slices -> its ServicePlans. Parts that came out as before are the previous
 * objects, so that a slice whose labels changed costs nothing further down.
 *
 * @module
 */

import { candidatesFor } from "./endpoints.ts";
import { familyOf } from "./ip.ts";
import type { IpFamily } from "./ip.ts";
import type { EndpointSlice, Service } from "./objects.ts";
import type { Note, ServicePlan, ServicePort } from "./plan.ts";
import { reuseEndpoints, reuseServicePlan, reuseServicePort } from "./reuse.ts";
import { needsHealthCheck, servicePorts, sourceRanges } from "./service.ts";
import { usableEndpoints } from "./topology.ts";
import type { HintRemark } from "./topology.ts";
import { scopesOf, verdictFor } from "./traffic.ts";

/** What all Services are planned with. */
export interface ServicePlanOptions {
  readonly family: IpFamily;
  readonly nodeName: string;
  /** "" when unknown. */
  readonly zone: string;
  /** Feature gate AllowServiceExternalIPs. */
  readonly allowExternalIps: boolean;
  /** Feature gate PreferSameTrafficDistribution. */
  readonly nodeHints: boolean;
}

/** A Service as last seen, and what came out of it last time. */
export interface ServiceInput {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
  /** Looked through for what can be kept. */
  readonly previous: readonly ServicePlan[];
}

/** What one Service contributes to a plan. */
export interface PlannedService {
  /** One for each port; empty when the Service has no ClusterIP of the family. */
  readonly plans: readonly ServicePlan[];
  readonly notes: readonly Note[];
}

/** Plans every port of one Service. */
export function planService(input: ServiceInput, options: ServicePlanOptions): PlannedService {
  const ports = servicePorts(input.service, options);
  if (ports.length === 0) return NOTHING;
  const notes: Note[] = [...serviceNotes(input, options)];
  const plans = ports.map((port) => {
    const previous = input.previous.find((plan) => plan.servicePort.name.key === port.name.key);
    const { plan, remarks } = planPort(input, { ...options, port, previous });
    for (const remark of remarks) notes.push(hintNote(plan.servicePort, { remark, ...options }));
    return plan;
  });
  return { plans, notes };
}

const NOTHING: PlannedService = { plans: [], notes: [] };

interface PortOptions extends ServicePlanOptions {
  readonly port: ServicePort;
  readonly previous: ServicePlan | undefined;
}

function planPort(
  { service, slices }: ServiceInput,
  options: PortOptions,
): { readonly plan: ServicePlan; readonly remarks: readonly HintRemark[] } {
  const { previous } = options;
  const servicePort = reuseServicePort(previous?.servicePort, options.port);
  const found = candidatesFor(slices, { ...options, name: servicePort.name });
  const candidates = reuseEndpoints(previous?.endpoints, found);
  const scopes = scopesOf(service, servicePort);
  const usable = usableEndpoints(candidates, { ...options, ...scopes });
  const plan = reuseServicePlan(previous, {
    servicePort,
    endpoints: candidates.map(({ endpoint }) => endpoint),
    cluster: usable.cluster,
    local: usable.local,
    reachable: usable.reachable,
    internal: verdictFor(scopes.internal, usable),
    external: verdictFor(scopes.external, usable),
  });
  return { plan, remarks: usable.remarks };
}

const HINT_MESSAGES: Readonly<Record<HintRemark, string>> = {
  "no-hint-for-node": "Ignoring node hints, none is for this node",
  "no-zone-label": "Ignoring zone hints, the node has no zone label",
  "no-hint-for-zone": "Ignoring zone hints, none is for the zone of this node",
};

function hintNote(
  servicePort: ServicePort,
  options: ServicePlanOptions & { readonly remark: HintRemark },
): Note {
  const { family, nodeName, zone } = options;
  return {
    level: "info",
    message: HINT_MESSAGES[options.remark],
    fields: { service: servicePort.name.text, family, node: nodeName, zone },
  };
}

function serviceNotes(input: ServiceInput, options: ServicePlanOptions): readonly Note[] {
  const { service, slices } = input;
  const { family } = options;
  const fields = { service: `${service.namespace}/${service.name}`, family };
  const notes: Note[] = [];
  if (needsHealthCheck(service) && service.healthCheckNodePort === 0) {
    notes.push({ level: "warning", message: "Service has no health check node port", fields });
  }
  if (hasOnlyForeignRanges(service, family)) {
    const message = "No loadBalancerSourceRanges of this family, its addresses are unrestricted";
    notes.push({ level: "warning", message, fields });
  }
  for (const slice of slices) {
    const stranger = slice.family === family &&
      slice.endpoints.find(({ ip }) => familyOf(ip) !== family);
    if (!stranger) continue;
    notes.push({
      level: "warning",
      message: "Ignoring endpoint of the wrong family",
      fields: { ...fields, slice: slice.name, ip: stranger.ip },
    });
  }
  return notes;
}

/** Who writes ranges for one family probably does not know that the other stays open (SVC-07). */
function hasOnlyForeignRanges(service: Service, family: IpFamily): boolean {
  const { loadBalancerSourceRanges: ranges, loadBalancerIps } = service;
  return ranges.length > 0 && loadBalancerIps.some((ip) => familyOf(ip) === family) &&
    sourceRanges(service, family).length === 0 &&
    ranges.every((cidr) => familyOf(cidr.address) !== family);
}
