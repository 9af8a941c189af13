/**
 * EndpointSlices -> the endpoints of one ServicePort, each once and in a fixed order. Answers to
 * pkg/proxy/endpointslicecache.go of kube-proxy 1.36 (EP-03 to EP-08).
 *
 * Hints stay beside the endpoint: they decide what is usable (topology.ts), not what it is.
 *
 * @module
 */

import { familyOf, formatHostPort } from "./ip.ts";
import type { IpFamily } from "./ip.ts";
import type { EndpointSlice, SliceEndpoint } from "./objects.ts";
import type { Endpoint, ServicePortName } from "./plan.ts";

/** An endpoint and what its slice hints about who should use it. */
export interface Candidate {
  readonly endpoint: Endpoint;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
}

/** Whose endpoints are asked for, and from where. */
export interface EndpointOptions {
  readonly name: ServicePortName;
  readonly family: IpFamily;
  readonly nodeName: string;
}

/** The endpoints of one ServicePort, ordered by text as Go compares strings (EP-07). */
export function candidatesFor(
  slices: readonly EndpointSlice[],
  options: EndpointOptions,
): readonly Candidate[] {
  const { name, family } = options;
  const byText = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.family !== family) continue;
    for (const port of slice.ports) {
      if (port.name !== name.port || port.protocol !== name.protocol) continue;
      addEndpoints(byText, { slice, port: port.port, nodeName: options.nodeName });
    }
  }
  const candidates = [...byText.values()];
  return candidates.sort((a, b) => a.endpoint.text < b.endpoint.text ? -1 : 1);
}

interface SliceSource {
  readonly slice: EndpointSlice;
  readonly port: number;
  readonly nodeName: string;
}

function addEndpoints(byText: Map<string, Candidate>, source: SliceSource): void {
  const { slice, port, nodeName } = source;
  for (const written of slice.endpoints) {
    if (familyOf(written.ip) !== slice.family) continue;
    const candidate = candidateOf(written, { port, nodeName });
    const rival = byText.get(candidate.endpoint.text);
    if (rival === undefined || beats(candidate, rival)) {
      byText.set(candidate.endpoint.text, candidate);
    }
  }
}

function candidateOf(
  written: SliceEndpoint,
  options: { readonly port: number; readonly nodeName: string },
): Candidate {
  const { ip, ready, serving, terminating, zoneHints, nodeHints } = written;
  const { port, nodeName } = options;
  const isLocal = nodeName !== "" && written.nodeName === nodeName;
  const text = formatHostPort(ip, port);
  return {
    endpoint: { ip, port, text, isLocal, ready, serving, terminating },
    zoneHints,
    nodeHints,
  };
}

/**
 * While a pod moves between slices, its address can stand in two of them. The one that does not
 * terminate wins (EP-06); the rest only makes the result independent of the order of the slices.
 */
function beats(one: Candidate, other: Candidate): boolean {
  const [a, b] = [rank(one), rank(other)];
  return a === b ? hintText(one) < hintText(other) : a > b;
}

function rank({ endpoint }: Candidate): number {
  return (endpoint.terminating ? 0 : 8) + (endpoint.ready ? 4 : 0) + (endpoint.serving ? 2 : 0) +
    (endpoint.isLocal ? 1 : 0);
}

function hintText(candidate: Candidate): string {
  return JSON.stringify([candidate.zoneHints, candidate.nodeHints]);
}
