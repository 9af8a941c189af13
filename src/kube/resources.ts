/**
 * The four resources vipd watches: where they live and which of their objects concern this node
 * (facts API-05 to API-08). The query asks the API server; the predicate asks an object, because
 * manifests come unfiltered and an old API server may ignore a selector.
 *
 * @module
 */

import type { ObjectKind } from "./changes.ts";
import { type JsonObject, objectAt, textAt } from "./json.ts";

/** Labels that take an object away from kube-proxy, whatever their value. */
const PROXY_NAME = "service.kubernetes.io/service-proxy-name";
const HEADLESS = "service.kubernetes.io/headless";

/** A watched resource. */
export interface Resource {
  readonly kind: ObjectKind;
  readonly apiVersion: string;
  readonly path: string;
  /** Selectors for LIST and WATCH. */
  query(nodeName: string): Readonly<Record<string, string>>;
  /** Whether the selectors match an object as the API writes it. */
  selects(json: JsonObject, nodeName: string): boolean;
}

const SERVICES: Resource = {
  kind: "Service",
  apiVersion: "v1",
  path: "/api/v1/services",
  query: () => ({ labelSelector: `!${PROXY_NAME}`, fieldSelector: "spec.clusterIP!=None" }),
  selects: (json) =>
    !hasLabel(json, PROXY_NAME) && textAt(objectAt(json, "spec"), "clusterIP") !== "None",
};

const ENDPOINT_SLICES: Resource = {
  kind: "EndpointSlice",
  apiVersion: "discovery.k8s.io/v1",
  path: "/apis/discovery.k8s.io/v1/endpointslices",
  query: () => ({ labelSelector: `!${HEADLESS}` }),
  selects: (json) => !hasLabel(json, HEADLESS),
};

const NODES: Resource = {
  kind: "Node",
  apiVersion: "v1",
  path: "/api/v1/nodes",
  query: (nodeName) => ({ fieldSelector: `metadata.name=${escapeFieldValue(nodeName)}` }),
  selects: (json, nodeName) => textAt(objectAt(json, "metadata"), "name") === nodeName,
};

const SERVICE_CIDRS: Resource = {
  kind: "ServiceCIDR",
  apiVersion: "networking.k8s.io/v1",
  path: "/apis/networking.k8s.io/v1/servicecidrs",
  query: () => ({}),
  selects: () => true,
};

/** All watched resources. */
export const RESOURCES: readonly Resource[] = [SERVICES, ENDPOINT_SLICES, NODES, SERVICE_CIDRS];

/** The watched resource an object belongs to; undefined for all others. */
export function resourceOf(json: JsonObject): Resource | undefined {
  const [kind, apiVersion] = [textAt(json, "kind"), textAt(json, "apiVersion")];
  return RESOURCES.find((each) => each.kind === kind && each.apiVersion === apiVersion);
}

function hasLabel(json: JsonObject, label: string): boolean {
  return Object.hasOwn(objectAt(objectAt(json, "metadata"), "labels"), label);
}

/** In a field selector `\`, `,` and `=` stand for themselves only behind a backslash. */
function escapeFieldValue(value: string): string {
  return value.replace(/[\\,=]/g, "\\$&");
}
