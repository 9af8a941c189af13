/**
 * Snapshot -> Plan for one family, keeping every part that did not change. A Service is looked at
 * again only when it, its slices, or this node's zone is another object than last time, so a pass
 * over unchanged Services costs a few map look-ups each. Takes the place of kube-proxy's change
 * trackers (EP-02, EP-10, SVC-13).
 *
 * @module
 */

import { familyOfCidr, formatCidr } from "./ip.ts";
import type { Cidr } from "./ip.ts";
import { nodeFacts, nodeNotes } from "./node.ts";
import type { NodeOptions } from "./node.ts";
import type {
  EndpointSlice,
  HostAddress,
  NamespacedName,
  NodeObject,
  Service,
  Snapshot,
} from "./objects.ts";
import type { NodeFacts, Note, Plan, ServicePlan } from "./plan.ts";
import { reuseCidrs, reuseNodeFacts } from "./reuse.ts";
import { planService } from "./service_plan.ts";
import type { PlannedService, ServicePlanOptions } from "./service_plan.ts";

/** What the configuration says about planning one family. */
export interface PlannerOptions extends NodeOptions {
  /** Feature gate AllowServiceExternalIPs. */
  readonly allowExternalIps: boolean;
  /** Feature gate PreferSameTrafficDistribution: node hints count. */
  readonly nodeHints: boolean;
}

/** What one Service came out as, and from which objects. */
interface Entry extends PlannedService {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
}

const NO_SLICES: readonly EndpointSlice[] = [];

/** Plans one family, again and again. */
export class Planner {
  readonly #options: PlannerOptions;
  readonly #entries = new Map<NamespacedName, Entry>();
  #node: NodeObject | undefined;
  #hostAddresses: readonly HostAddress[] | undefined;
  #plan: Plan | undefined;

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /**
   * The wish for `snapshot`. The very same object as last time when nothing in it changed and
   * nothing is left to say.
   */
  plan(snapshot: Snapshot, hostAddresses: readonly HostAddress[]): Plan {
    const previous = this.#plan;
    const notes: Note[] = [];
    const node = this.#facts({ node: snapshot.node, hostAddresses }, notes);
    if (previous?.node.zone !== node.zone) this.#distrustEntries();
    const services = this.#planServices(snapshot, { node, notes });
    const serviceCidrs = reuseCidrs(previous?.serviceCidrs, this.#serviceCidrs(snapshot));
    const isUnchanged = previous !== undefined && previous.node === node &&
      previous.services === services.plans && previous.serviceCidrs === serviceCidrs &&
      previous.notes.length === 0 && notes.length === 0;
    if (isUnchanged) return previous;
    return this.#plan = {
      family: this.#options.family,
      node,
      services: services.plans,
      serviceCidrs,
      endpointCount: services.endpointCount,
      notes,
    };
  }

  #facts(
    sources: { node: NodeObject | undefined; hostAddresses: readonly HostAddress[] },
    notes: Note[],
  ): NodeFacts {
    const previous = this.#plan?.node;
    const isSame = this.#node === sources.node && this.#hostAddresses === sources.hostAddresses;
    if (previous !== undefined && isSame) return previous;
    this.#node = sources.node;
    this.#hostAddresses = sources.hostAddresses;
    const facts = reuseNodeFacts(previous, nodeFacts(sources, this.#options));
    const said = previous === undefined ? [] : nodeNotes(previous, this.#options);
    if (facts !== previous) notes.push(...newNotes(nodeNotes(facts, this.#options), said));
    return facts;
  }

  /** Hints are read with the zone in mind, so every Service has to be looked at again. */
  #distrustEntries(): void {
    for (const [key, entry] of this.#entries) {
      this.#entries.set(key, { ...entry, slices: STALE });
    }
  }

  #planServices(
    snapshot: Snapshot,
    context: { readonly node: NodeFacts; readonly notes: Note[] },
  ): Draft {
    const draft = new Draft(this.#plan);
    const options: ServicePlanOptions = {
      family: this.#options.family,
      nodeName: this.#options.nodeName,
      zone: context.node.zone,
      allowExternalIps: this.#options.allowExternalIps,
      nodeHints: this.#options.nodeHints,
    };
    for (const [key, service] of snapshot.services) {
      const slices = snapshot.slicesByService.get(key) ?? NO_SLICES;
      const entry = this.#entries.get(key);
      if (entry?.service === service && entry.slices === slices) continue;
      const previous = entry?.plans ?? [];
      const planned = planService({ service, slices, previous }, options);
      this.#entries.set(key, { service, slices, ...planned });
      draft.replace(previous, planned.plans);
      context.notes.push(...newNotes(planned.notes, entry?.notes ?? []));
    }
    this.#forgetServices(snapshot, draft);
    return draft;
  }

  #forgetServices(snapshot: Snapshot, draft: Draft): void {
    if (this.#entries.size === snapshot.services.size) return;
    for (const [key, entry] of this.#entries) {
      if (snapshot.services.has(key)) continue;
      this.#entries.delete(key);
      draft.replace(entry.plans, []);
    }
  }

  #serviceCidrs(snapshot: Snapshot): readonly Cidr[] {
    const { family } = this.#options;
    const byText = new Map<string, Cidr>();
    for (const { cidrs } of snapshot.serviceCidrs.values()) {
      for (const cidr of cidrs) {
        if (familyOfCidr(cidr) === family) byText.set(formatCidr(cidr), cidr);
      }
    }
    return [...byText].sort(([a], [b]) => a < b ? -1 : 1).map(([, cidr]) => cidr);
  }
}

/** No store hands out this array, so an entry that has it never counts as unchanged. */
const STALE: readonly EndpointSlice[] = [];

/** The services of the next plan: those of the previous one until the first that differs. */
class Draft {
  #changed: Map<string, ServicePlan> | undefined;
  readonly #before: ReadonlyMap<string, ServicePlan>;
  #endpointCount: number;

  constructor(previous: Plan | undefined) {
    this.#before = previous?.services ?? new Map();
    this.#endpointCount = previous?.endpointCount ?? 0;
  }

  get plans(): ReadonlyMap<string, ServicePlan> {
    return this.#changed ?? this.#before;
  }

  get endpointCount(): number {
    return this.#endpointCount;
  }

  /** Puts the plans of one Service in the place of its previous ones. */
  replace(previous: readonly ServicePlan[], next: readonly ServicePlan[]): void {
    for (const plan of previous) {
      const { key } = plan.servicePort.name;
      if (!next.some((other) => other.servicePort.name.key === key)) this.#remove(key);
    }
    for (const plan of next) this.#put(plan);
  }

  #put(plan: ServicePlan): void {
    const { key } = plan.servicePort.name;
    const old = this.plans.get(key);
    if (old === plan) return;
    this.#writable().set(key, plan);
    this.#endpointCount += plan.endpoints.length - (old?.endpoints.length ?? 0);
  }

  #remove(key: string): void {
    this.#endpointCount -= this.plans.get(key)?.endpoints.length ?? 0;
    this.#writable().delete(key);
  }

  #writable(): Map<string, ServicePlan> {
    return this.#changed ??= new Map(this.#before);
  }
}

function newNotes(notes: readonly Note[], said: readonly Note[]): readonly Note[] {
  if (notes.length === 0) return notes;
  const texts = new Set(said.map((note) => JSON.stringify(note)));
  return notes.filter((note) => !texts.has(JSON.stringify(note)));
}
