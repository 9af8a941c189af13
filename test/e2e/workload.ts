/**
 * A Service of the cluster of topology.ts, its endpoints in every condition they can have, and who
 * answers there: what the tests of Services in the Kubernetes project change and ask.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import { eventually } from "../support/vipd.ts";
import type { Cluster } from "./cluster.ts";
import type { Target } from "./probe.ts";
import { ADDRESSES, type Client, FAMILIES, type Family, NODE_OF, type Pod } from "./topology.ts";

/** TCP 80 and UDP 53, as `ports` of a Service. */
export const WEB = { name: "web", port: 80, targetPort: 8080, protocol: "TCP" } as const;
/** See {@linkcode WEB}. */
export const DNS = { name: "dns", port: 53, targetPort: 5353, protocol: "UDP" } as const;

/** An endpoint as a slice says it. */
export interface Place {
  readonly pod: Pod;
  readonly conditions?: object;
  readonly hints?: object;
}

/** What is asked, and who is to answer: pods, or `refused`, or `silence`. */
export interface Question {
  readonly target: Target;
  readonly by: readonly string[];
}

/** A Service `changes/NAME` whose addresses end in `n`. */
export class Workload {
  readonly #cluster: Cluster;
  readonly name: string;
  readonly n: number;

  constructor(cluster: Cluster, { name, n }: { readonly name: string; readonly n: number }) {
    this.#cluster = cluster;
    this.name = name;
    this.n = n;
  }

  /** Writes the Service with these fields of its spec, metadata and status. */
  write(
    spec: object,
    { metadata = {}, status }: { metadata?: object; status?: object } = {},
  ): void {
    this.#cluster.server.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace: "changes", name: this.name, ...metadata },
      spec: {
        clusterIP: ADDRESSES.IPv4.service(this.n),
        clusterIPs: FAMILIES.map((family) => ADDRESSES[family].service(this.n)),
        ipFamilyPolicy: "RequireDualStack",
        ports: [WEB, DNS],
        ...spec,
      },
      ...(status && { status }),
    });
  }

  /** The status of a load balancer with the external addresses of the Service. */
  balanced(ipMode?: "VIP" | "Proxy"): object {
    const ingress = FAMILIES.map((family) => ({
      ip: ADDRESSES[family].external(this.n),
      ...(ipMode && { ipMode }),
    }));
    return { loadBalancer: { ingress } };
  }

  /** Writes the slices of both families; a pod by its name is ready. */
  place(places: readonly (Pod | Place)[], { labels = {} }: { labels?: object } = {}): void {
    for (const family of FAMILIES) {
      this.#cluster.server.apply({
        ...this.slice(family, { places: places.map(placeOf), labels }),
      });
    }
  }

  /** One slice, e.g. to change before it is written. */
  slice(
    family: Family,
    { places, labels = {} }: { readonly places: readonly Place[]; readonly labels?: object },
  ): object {
    return {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        namespace: "changes",
        name: `${this.name}-${family.toLowerCase()}`,
        labels: { "kubernetes.io/service-name": this.name, ...labels },
      },
      addressType: family,
      ports: [
        { name: "web", port: 8080, protocol: "TCP" },
        { name: "dns", port: 5353, protocol: "UDP" },
      ],
      endpoints: places.map(({ pod, conditions = { ready: true }, hints }) => ({
        addresses: [ADDRESSES[family].pods[pod]],
        conditions,
        nodeName: NODE_OF[pod],
        ...(hints && { hints }),
      })),
    };
  }

  /** What to ask for its ClusterIP, or another of its addresses. */
  target(family: Family, changes: Partial<Target> = {}): Target {
    const host = ADDRESSES[family].service(this.n);
    return { protocol: "tcp", host, port: 80, timeoutMs: 1_000, ...changes };
  }

  /** Waits until exactly these answer. */
  async answers(client: Client, { target, by }: Question): Promise<void> {
    const wanted = [...by].sort().join(" ");
    let last = "";
    await eventually(`${client} -> ${target.host}:${target.port}: ${wanted}, last`, async () => {
      last = await this.#answering(client, { target, wanted: by.length });
      return last === wanted ? true : undefined;
    }, { timeoutMs: 12_000 }).catch((error) => {
      throw new Error(`${error instanceof Error ? error.message : error}: ${last}`);
    });
  }

  /** Whose address the server sees. */
  async seen(client: Client, target: Target): Promise<string> {
    const answer = await this.#cluster.probe(client, target);
    return answer.kind === "answer" ? answer.from : answer.kind;
  }

  /** As {@linkcode Workload.answers}, and still so after many more questions. */
  async onlyAnswers(client: Client, { target, by }: Question): Promise<void> {
    await this.answers(client, { target, by });
    for (let i = 0; i < 3; i++) {
      equal(await this.#answering(client, { target, wanted: by.length }), [...by].sort().join(" "));
    }
  }

  async #answering(
    client: Client,
    { target, wanted }: { readonly target: Target; readonly wanted: number },
  ): Promise<string> {
    const seen = new Set<string>();
    const isOneClient = target.localPort !== undefined; // to be asked anew it has to wait
    if (isOneClient) await new Promise((resolve) => setTimeout(resolve, 60)); // until its port is free
    // Of two that share, one is silent for 20 questions less often than once in a million.
    for (let i = 0; i < 20 && (i < 8 || seen.size < wanted); i++) {
      const answer = await this.#cluster.probe(client, target);
      seen.add(answer.kind === "answer" ? answer.by : answer.kind);
      // The kernel refuses once a second only (icmp_ratelimit).
      if (answer.kind !== "answer" || isOneClient) break;
    }
    return [...seen].sort().join(" ");
  }
}

function placeOf(place: Pod | Place): Place {
  return typeof place === "string" ? { pod: place } : place;
}
