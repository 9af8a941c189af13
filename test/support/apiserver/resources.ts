/**
 * The resources this API server knows, one row each: where they live, what can be selected by
 * field, and whether status is a subresource.
 *
 * @module
 */

/** One kind of object and its place in the API. */
export interface Resource {
  /** "" for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly shortNames: readonly string[];
  readonly isNamespaced: boolean;
  readonly hasStatus: boolean;
  /** Writing the main resource leaves status as it is (and empty on create). */
  readonly resetsStatus: boolean;
  /** metadata.generation counts changes outside of metadata. */
  readonly hasGeneration: boolean;
  /** Field selectors next to metadata.name and metadata.namespace. */
  readonly selectableFields: readonly string[];
}

const SERVICES: Resource = {
  group: "",
  version: "v1",
  plural: "services",
  singular: "service",
  kind: "Service",
  shortNames: ["svc"],
  isNamespaced: true,
  hasStatus: true,
  resetsStatus: true,
  hasGeneration: false,
  selectableFields: ["spec.clusterIP", "spec.type"],
};

const NODES: Resource = {
  group: "",
  version: "v1",
  plural: "nodes",
  singular: "node",
  kind: "Node",
  shortNames: ["no"],
  isNamespaced: false,
  hasStatus: true,
  resetsStatus: false,
  hasGeneration: false,
  selectableFields: ["spec.unschedulable"],
};

const SLICES: Resource = {
  group: "discovery.k8s.io",
  version: "v1",
  plural: "endpointslices",
  singular: "endpointslice",
  kind: "EndpointSlice",
  shortNames: [],
  isNamespaced: true,
  hasStatus: false,
  resetsStatus: false,
  hasGeneration: true,
  selectableFields: [],
};

const SERVICE_CIDRS: Resource = {
  group: "networking.k8s.io",
  version: "v1",
  plural: "servicecidrs",
  singular: "servicecidr",
  kind: "ServiceCIDR",
  shortNames: [],
  isNamespaced: false,
  hasStatus: true,
  resetsStatus: true,
  hasGeneration: false,
  selectableFields: [],
};

const EVENTS: Resource = {
  group: "events.k8s.io",
  version: "v1",
  plural: "events",
  singular: "event",
  kind: "Event",
  shortNames: ["ev"],
  isNamespaced: true,
  hasStatus: false,
  resetsStatus: false,
  hasGeneration: false,
  selectableFields: ["reason", "type", "regarding.kind", "regarding.name", "reportingController"],
};

/** All resources, in the order in which manifests are written. */
export const RESOURCES: readonly Resource[] = [SERVICE_CIDRS, NODES, SERVICES, SLICES, EVENTS];

/** `v1`, `discovery.k8s.io/v1`. */
export function apiVersionOf(resource: Resource): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

/** The resource of a path; undefined when it is not served. */
export function findResource(
  where: { group: string; version: string; plural: string },
): Resource | undefined {
  return RESOURCES.find((resource) =>
    resource.group === where.group && resource.version === where.version &&
    resource.plural === where.plural
  );
}

/** The resource of an object; undefined when it is not served. */
export function resourceOfKind(apiVersion: string, kind: string): Resource | undefined {
  return RESOURCES.find((resource) =>
    resource.kind === kind && apiVersionOf(resource) === apiVersion
  );
}
