/**
 * Which endpoints of a ServicePort this node may use: readiness, termination, zone and node hints.
 * Answers to CategorizeEndpoints in pkg/proxy/topology.go of kube-proxy 1.36 (TOP-01 to TOP-06).
 *
 * The hints themselves say that they are wanted; no field of the Service is asked.
 *
 * @module
 */

import type { Candidate } from "./endpoints.ts";
import type { Endpoint } from "./plan.ts";

/** Where hints are read. */
export interface TopologyOptions {
  readonly nodeName: string;
  /** "" when unknown. */
  readonly zone: string;
  /** Feature gate PreferSameTrafficDistribution: node hints count. */
  readonly nodeHints: boolean;
  /** Some traffic of the ServicePort uses policy Cluster. */
  readonly usesCluster: boolean;
  /** Some traffic of the ServicePort uses policy Local. */
  readonly usesLocal: boolean;
}

/** The hints that are followed. */
export type TopologyMode = "none" | "node" | "zone";

/** Why complete hints are not followed. */
export type HintRemark = "no-hint-for-node" | "no-zone-label" | "no-hint-for-zone";

/** What topology leaves of the endpoints of a ServicePort; each list in the order it came in. */
export interface UsableEndpoints {
  readonly cluster: readonly Endpoint[];
  readonly local: readonly Endpoint[];
  readonly reachable: readonly Endpoint[];
  /** Somebody could serve, here or elsewhere. */
  readonly hasAny: boolean;
  readonly remarks: readonly HintRemark[];
}

const NONE: readonly never[] = [];
const UNUSABLE: UsableEndpoints = {
  cluster: NONE,
  local: NONE,
  reachable: NONE,
  hasAny: false,
  remarks: NONE,
};

/** Sorts the endpoints of a ServicePort by the traffic that may use them. */
export function usableEndpoints(
  candidates: readonly Candidate[],
  options: TopologyOptions,
): UsableEndpoints {
  if (candidates.length === 0) return UNUSABLE;
  const { mode, remarks } = options.usesCluster
    ? topologyMode(candidates, options)
    : { mode: "none" as const, remarks: NONE };
  const cluster = options.usesCluster ? clusterEndpoints(candidates, { ...options, mode }) : NONE;
  const local = options.usesLocal ? localEndpoints(candidates) : NONE;
  return {
    cluster,
    local,
    reachable: union(candidates, { cluster, local }),
    hasAny: candidates.some(({ endpoint }) => endpoint.ready || isDraining(endpoint)),
    remarks,
  };
}

/** Hints count only when every ready endpoint has one and one of them is for us (TOP-05). */
export function topologyMode(
  candidates: readonly Candidate[],
  options: Pick<TopologyOptions, "nodeName" | "zone" | "nodeHints">,
): { readonly mode: TopologyMode; readonly remarks: readonly HintRemark[] } {
  const { nodeName, zone } = options;
  const ready = candidates.filter(({ endpoint }) => endpoint.ready);
  if (ready.length === 0) return { mode: "none", remarks: NONE };
  const remarks: HintRemark[] = [];
  if (options.nodeHints && ready.every((candidate) => candidate.nodeHints.length > 0)) {
    if (ready.some((candidate) => candidate.nodeHints.includes(nodeName))) {
      return { mode: "node", remarks };
    }
    remarks.push("no-hint-for-node");
  }
  if (ready.every((candidate) => candidate.zoneHints.length > 0)) {
    if (ready.some((candidate) => candidate.zoneHints.includes(zone))) {
      return { mode: "zone", remarks };
    }
    remarks.push(zone === "" ? "no-zone-label" : "no-hint-for-zone");
  }
  return { mode: "none", remarks };
}

function clusterEndpoints(
  candidates: readonly Candidate[],
  options: TopologyOptions & { readonly mode: TopologyMode },
): readonly Endpoint[] {
  const { mode, nodeName, zone } = options;
  const ready = filterEndpoints(candidates, (candidate) => {
    if (!candidate.endpoint.ready) return false;
    if (mode === "none") return true;
    return mode === "node"
      ? candidate.nodeHints.includes(nodeName)
      : candidate.zoneHints.includes(zone);
  });
  // KEP-1669: rather a pod that is going than none, whatever the hints.
  return ready.length > 0
    ? ready
    : filterEndpoints(candidates, ({ endpoint }) => isDraining(endpoint));
}

function localEndpoints(candidates: readonly Candidate[]): readonly Endpoint[] {
  const ready = filterEndpoints(candidates, ({ endpoint }) => endpoint.isLocal && endpoint.ready);
  return ready.length > 0
    ? ready
    : filterEndpoints(candidates, ({ endpoint }) => endpoint.isLocal && isDraining(endpoint));
}

function isDraining(endpoint: Endpoint): boolean {
  return endpoint.serving && endpoint.terminating;
}

function filterEndpoints(
  candidates: readonly Candidate[],
  isWanted: (candidate: Candidate) => boolean,
): readonly Endpoint[] {
  const endpoints: Endpoint[] = [];
  for (const candidate of candidates) {
    if (isWanted(candidate)) endpoints.push(candidate.endpoint);
  }
  return endpoints;
}

/** kube-proxy's order is random when it must merge (TOP-03); ours is that of the candidates. */
function union(
  candidates: readonly Candidate[],
  sets: { readonly cluster: readonly Endpoint[]; readonly local: readonly Endpoint[] },
): readonly Endpoint[] {
  const { cluster, local } = sets;
  if (local.length === 0) return cluster;
  if (cluster.length === 0) return local;
  const members = new Set([...cluster, ...local]);
  if (members.size === cluster.length) return cluster;
  return filterEndpoints(candidates, ({ endpoint }) => members.has(endpoint));
}
