/**
 * The slow and obvious answer to "which endpoints may this ServicePort use": written from FACTS
 * SVC-10 and TOP-01 to TOP-06 in their own words, sharing no code with src/model.
 *
 * @module
 */

import type { EndpointSlice, Service, ServicePortSpec } from "../../src/model/objects.ts";

/** One endpoint as the facts talk about it. */
interface Target {
  readonly text: string;
  readonly local: boolean;
  readonly ready: boolean;
  readonly draining: boolean;
  readonly zones: readonly string[];
  readonly nodes: readonly string[];
}

/** Where the node is. */
export interface Place {
  readonly nodeName: string;
  readonly zone: string;
  readonly nodeHints: boolean;
}

/** The answer: texts in order, and what happens to traffic. */
export interface Expected {
  readonly cluster: readonly string[];
  readonly local: readonly string[];
  readonly reachable: readonly string[];
  readonly internal: string;
  readonly external: string;
}

/** What is expected of one port of an IPv4 Service whose slices have no address twice. */
export function expectedOf(
  { service, port, slices }: {
    service: Service;
    port: ServicePortSpec;
    slices: readonly EndpointSlice[];
  },
  place: Place,
): Expected {
  const targets = targetsOf(slices, { port, place });
  const internalLocal = service.internalTrafficPolicy === "Local";
  const hasWayIn = port.nodePort > 0 || service.loadBalancerIps.length > 0 ||
    service.externalIps.length > 0;
  const externalLocal = service.externalTrafficPolicy === "Local" &&
    (service.type !== "ClusterIP" || service.externalIps.length > 0);

  const usesCluster = !internalLocal || hasWayIn;
  const usesLocal = internalLocal || (externalLocal && hasWayIn);
  const cluster = usesCluster ? clusterTexts(targets, place) : [];
  const local = usesLocal
    ? readyElseDraining(targets.filter((each) => each.local)).map((each) => each.text)
    : [];
  const nobody = !targets.some((each) => each.ready || each.draining);
  const fate = (texts: readonly string[]) =>
    texts.length > 0 ? "forward" : nobody ? "reject" : "drop";
  return {
    cluster,
    local,
    reachable: [...new Set([...cluster, ...local])].sort(),
    internal: fate(internalLocal ? local : cluster),
    external: fate(externalLocal ? local : cluster),
  };
}

function clusterTexts(targets: readonly Target[], place: Place): readonly string[] {
  const ready = targets.filter((each) => each.ready);
  const everyReady = (has: (each: Target) => boolean) => ready.length > 0 && ready.every(has);
  const forNode = ready.filter((each) => each.nodes.includes(place.nodeName));
  const forZone = ready.filter((each) => each.zones.includes(place.zone));
  if (place.nodeHints && everyReady((each) => each.nodes.length > 0) && forNode.length > 0) {
    return forNode.map((each) => each.text);
  }
  if (everyReady((each) => each.zones.length > 0) && forZone.length > 0) {
    return forZone.map((each) => each.text);
  }
  return readyElseDraining(targets).map((each) => each.text);
}

function readyElseDraining(targets: readonly Target[]): readonly Target[] {
  const ready = targets.filter((each) => each.ready);
  return ready.length > 0 ? ready : targets.filter((each) => each.draining);
}

function targetsOf(
  slices: readonly EndpointSlice[],
  { port, place }: { port: ServicePortSpec; place: Place },
): readonly Target[] {
  const targets: Target[] = [];
  for (const slice of slices.filter((each) => each.family === "IPv4")) {
    const numbers = slice.ports
      .filter((each) => each.name === port.name && each.protocol === port.protocol)
      .map((each) => each.port);
    for (const number of numbers) {
      targets.push(...slice.endpoints.map((each) => ({
        text: `${each.ip}:${number}`,
        local: each.nodeName === place.nodeName,
        ready: each.ready,
        draining: each.serving && each.terminating,
        zones: each.zoneHints,
        nodes: each.nodeHints,
      })));
    }
  }
  return targets.sort((a, b) => a.text < b.text ? -1 : 1);
}
