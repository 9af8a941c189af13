/**
 * "Unchanged means the same object": for each part of a plan, the previous object when the new one
 * says the same. Backends compare references, so a needless new object costs kernel writes.
 *
 * @module
 */

import type { Cidr } from "./ip.ts";
import { formatCidr } from "./ip.ts";
import type { Endpoint, NodeFacts, ServicePlan, ServicePort } from "./plan.ts";
import type { Candidate } from "./endpoints.ts";

/** The previous list when both have the same elements in the same order. */
export function reuseList<T>(
  previous: readonly T[] | undefined,
  next: readonly T[],
): readonly T[] {
  return previous !== undefined && sameList(previous, next) ? previous : next;
}

/** The previous list of networks when both name the same ones in the same order. */
export function reuseCidrs(
  previous: readonly Cidr[] | undefined,
  next: readonly Cidr[],
): readonly Cidr[] {
  const isSame = previous !== undefined &&
    sameList(previous.map(formatCidr), next.map(formatCidr));
  return isSame ? previous : next;
}

/** The previous ServicePort when it says the same, else the new one with what lists can be kept. */
export function reuseServicePort(
  previous: ServicePort | undefined,
  next: ServicePort,
): ServicePort {
  if (previous === undefined) return next;
  const merged: ServicePort = {
    ...next,
    name: previous.name.key === next.name.key ? previous.name : next.name,
    externalIps: reuseList(previous.externalIps, next.externalIps),
    loadBalancerVips: reuseList(previous.loadBalancerVips, next.loadBalancerVips),
    loadBalancerSourceRanges: reuseCidrs(
      previous.loadBalancerSourceRanges,
      next.loadBalancerSourceRanges,
    ),
  };
  return shallowEqual(previous, merged) ? previous : merged;
}

/** The candidates with previous endpoints put in where they say the same. Both ordered by text. */
export function reuseEndpoints(
  previous: readonly Endpoint[] | undefined,
  candidates: readonly Candidate[],
): readonly Candidate[] {
  if (previous === undefined || previous.length === 0) return candidates;
  let at = 0;
  return candidates.map((candidate) => {
    const { text } = candidate.endpoint;
    while (at < previous.length && (previous[at]?.text ?? "") < text) at++;
    const old = previous[at];
    return old !== undefined && shallowEqual(old, candidate.endpoint)
      ? { ...candidate, endpoint: old }
      : candidate;
  });
}

/** The previous ServicePlan when it says the same; shares lists with it, and within itself. */
export function reuseServicePlan(
  previous: ServicePlan | undefined,
  next: ServicePlan,
): ServicePlan {
  const endpoints = reuseList(previous?.endpoints, next.endpoints);
  const cluster = reuseList(previous?.cluster, reuseList(endpoints, next.cluster));
  const local = reuseList(previous?.local, reuseList(endpoints, next.local));
  const reachable = reuseList(previous?.reachable, reuseList(cluster, next.reachable));
  const merged = { ...next, endpoints, cluster, local, reachable };
  return previous !== undefined && shallowEqual(previous, merged) ? previous : merged;
}

/** The previous facts when they say the same, else the new ones with what parts can be kept. */
export function reuseNodeFacts(previous: NodeFacts | undefined, next: NodeFacts): NodeFacts {
  if (previous === undefined) return next;
  const merged: NodeFacts = {
    ...next,
    localTraffic: reuseSmall(previous.localTraffic, next.localTraffic),
    nodePortAddresses: reuseSmall(previous.nodePortAddresses, next.nodePortAddresses),
    hostAddresses: reuseList(previous.hostAddresses, next.hostAddresses),
  };
  return shallowEqual(previous, merged) ? previous : merged;
}

function sameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a === b || (a.length === b.length && a.every((element, i) => element === b[i]));
}

/** For small values of plain data, made with their fields in a fixed order. */
function reuseSmall<T>(previous: T, next: T): T {
  return JSON.stringify(previous) === JSON.stringify(next) ? previous : next;
}

/** Both of the same type, so of the same fields; each compared as `===` does. */
function shallowEqual<T extends object>(a: T, b: T): boolean {
  for (const key in a) {
    if (a[key] !== b[key]) return false;
  }
  return true;
}
