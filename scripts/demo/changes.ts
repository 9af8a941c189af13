/**
 * The second half of the demo: objects change while clients ask, and how long it takes until they
 * notice.
 *
 * @module
 */

import type { Goal } from "./agent.ts";
import type { Cluster } from "./cluster.ts";
import type { Place } from "./topology.ts";
import type { Question } from "./traffic.ts";

/** A change and what must come of it. */
export interface Change {
  readonly title: string;
  readonly method: "PATCH" | "DELETE";
  /** Behind the URL of the API server. */
  readonly path: string;
  readonly body?: object;
  readonly from: Place;
  readonly question: Question;
  readonly goal: Goal;
  readonly effect: string;
}

const SLICE = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/web-ipv4";
const WEB: Question = {
  protocol: "http",
  host: "10.96.10.1",
  port: 80,
  count: 1,
  timeoutMs: 300,
};

function endpoint(address: string, nodeName: string): object {
  return { addresses: [address], conditions: { ready: true }, nodeName };
}

/** In this order. */
export const CHANGES: readonly Change[] = [
  {
    title: "web: 3 -> 4 endpoints",
    method: "PATCH",
    path: SLICE,
    body: {
      endpoints: [
        endpoint("10.244.1.11", "node-a"),
        endpoint("10.244.1.12", "node-a"),
        endpoint("10.244.2.21", "node-b"),
        endpoint("10.244.2.22", "node-b"),
      ],
    },
    from: "web-1",
    question: WEB,
    goal: { kind: "seen", pod: "web-4" },
    effect: "web-4 got its first request",
  },
  {
    title: "web: 4 -> 1 endpoint",
    method: "PATCH",
    path: SLICE,
    body: { endpoints: [endpoint("10.244.2.22", "node-b")] },
    from: "web-1",
    question: WEB,
    goal: { kind: "only", pod: "web-4" },
    effect: "nobody but web-4 got any",
  },
  {
    title: "web is deleted",
    method: "DELETE",
    path: "/api/v1/namespaces/shop/services/web",
    from: "web-1",
    question: WEB,
    goal: { kind: "gone" },
    effect: "nobody answers any more",
  },
];

/** How long it took from the request until clients saw it, in ms. Throws after 15 s. */
export async function makeChange(
  cluster: Cluster,
  { change, directory }: { change: Change; directory: string },
): Promise<number> {
  const { agents, url } = cluster;
  const noticed = agents[change.from].waitFor(change.question, change.goal);
  const { method, body } = change;
  const [seenMs, sentMs] = await Promise.all([
    noticed,
    agents.outside.call({ method, url: `${url}${change.path}`, directory, ...(body && { body }) }),
  ]);
  return Math.max(0, seenMs - sentMs);
}
