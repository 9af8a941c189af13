/**
 * The types of all fields of the kinds served here. A value of a wrong type is a 400 as from the
 * real server; a field nobody knows is dropped (or a 400 with `fieldValidation=Strict`).
 *
 * @module
 */

import { isObject, type Json, type JsonObject } from "./json.ts";
import { badRequest } from "./status.ts";
import { apiVersionOf, type Resource } from "./resources.ts";

type Schema =
  | "string"
  | "int"
  | "bool"
  | "intOrString"
  | "time"
  | "any"
  | readonly [Schema]
  | { readonly [field: string]: Schema };

const CONDITIONS: Schema = [{
  type: "string",
  status: "string",
  observedGeneration: "int",
  lastHeartbeatTime: "time",
  lastTransitionTime: "time",
  reason: "string",
  message: "string",
}];

const METADATA: Schema = {
  name: "string",
  generateName: "string",
  namespace: "string",
  selfLink: "string",
  uid: "string",
  resourceVersion: "string",
  generation: "int",
  creationTimestamp: "time",
  deletionTimestamp: "time",
  deletionGracePeriodSeconds: "int",
  labels: { "*": "string" },
  annotations: { "*": "string" },
  ownerReferences: ["any"],
  finalizers: ["string"],
  managedFields: ["any"],
};

const SERVICE: Schema = {
  spec: {
    ports: [{
      name: "string",
      protocol: "string",
      appProtocol: "string",
      port: "int",
      targetPort: "intOrString",
      nodePort: "int",
    }],
    selector: { "*": "string" },
    clusterIP: "string",
    clusterIPs: ["string"],
    type: "string",
    externalIPs: ["string"],
    sessionAffinity: "string",
    loadBalancerIP: "string",
    loadBalancerSourceRanges: ["string"],
    externalName: "string",
    externalTrafficPolicy: "string",
    healthCheckNodePort: "int",
    publishNotReadyAddresses: "bool",
    sessionAffinityConfig: { clientIP: { timeoutSeconds: "int" } },
    ipFamilies: ["string"],
    ipFamilyPolicy: "string",
    allocateLoadBalancerNodePorts: "bool",
    loadBalancerClass: "string",
    internalTrafficPolicy: "string",
    trafficDistribution: "string",
  },
  status: {
    loadBalancer: {
      ingress: [{
        ip: "string",
        hostname: "string",
        ipMode: "string",
        ports: [{ port: "int", protocol: "string", error: "string" }],
      }],
    },
    conditions: CONDITIONS,
  },
};

const SLICE: Schema = {
  addressType: "string",
  endpoints: [{
    addresses: ["string"],
    conditions: { ready: "bool", serving: "bool", terminating: "bool" },
    hostname: "string",
    targetRef: "any",
    deprecatedTopology: { "*": "string" },
    nodeName: "string",
    zone: "string",
    hints: { forZones: [{ name: "string" }], forNodes: [{ name: "string" }] },
  }],
  ports: [{ name: "string", protocol: "string", port: "int", appProtocol: "string" }],
};

const NODE: Schema = {
  spec: {
    podCIDR: "string",
    podCIDRs: ["string"],
    providerID: "string",
    unschedulable: "bool",
    taints: [{ key: "string", value: "string", effect: "string", timeAdded: "time" }],
    configSource: "any",
    externalID: "string",
  },
  status: {
    capacity: "any",
    allocatable: "any",
    phase: "string",
    conditions: CONDITIONS,
    addresses: [{ type: "string", address: "string" }],
    daemonEndpoints: "any",
    nodeInfo: "any",
    images: "any",
    volumesInUse: "any",
    volumesAttached: "any",
    config: "any",
    runtimeHandlers: "any",
    features: "any",
    declaredFeatures: "any",
  },
};

const EVENT: Schema = {
  eventTime: "time",
  series: { count: "int", lastObservedTime: "time" },
  reportingController: "string",
  reportingInstance: "string",
  action: "string",
  reason: "string",
  regarding: "any",
  related: "any",
  note: "string",
  type: "string",
  deprecatedSource: "any",
  deprecatedFirstTimestamp: "time",
  deprecatedLastTimestamp: "time",
  deprecatedCount: "int",
};

const SCHEMAS: Readonly<Record<string, Schema>> = {
  Service: SERVICE,
  EndpointSlice: SLICE,
  Node: NODE,
  ServiceCIDR: { spec: { cidrs: ["string"] }, status: { conditions: CONDITIONS } },
  Event: EVENT,
};

/**
 * The object with known fields only. Throws a 400 StatusError when a field has the wrong type, or
 * kind or apiVersion are others than those of the resource.
 */
export function decodeTyped(
  resource: Resource,
  { body, isStrict }: { body: Json; isStrict: boolean },
): JsonObject {
  const version = apiVersionOf(resource);
  if (!isObject(body)) throw badRequest("the body of the request is not an object");
  const { kind = resource.kind, apiVersion = version } = body;
  if (kind !== resource.kind || apiVersion !== version) {
    throw badRequest(
      `the object provided is ${JSON.stringify(apiVersion)} ${JSON.stringify(kind)}, ` +
        `expected ${version} ${resource.kind}`,
    );
  }
  const schema: Schema = {
    apiVersion: "string",
    kind: "string",
    metadata: METADATA,
    ...fieldsOf(SCHEMAS[resource.kind]),
  };
  const complain = (path: string, problem: string): never => {
    throw badRequest(
      `${resource.kind} in version "${resource.version}" cannot be handled as a ` +
        `${resource.kind}: ${path}: ${problem}`,
    );
  };
  const decoded = decode(body, { schema, path: "", isStrict, complain });
  return isObject(decoded) ? { ...decoded, kind, apiVersion } : complain("", "not an object");
}

function fieldsOf(schema: Schema | undefined): { readonly [field: string]: Schema } {
  return typeof schema === "object" && !(schema instanceof Array) ? schema : {};
}

interface DecodeContext {
  readonly schema: Schema;
  readonly path: string;
  readonly isStrict: boolean;
  readonly complain: (path: string, problem: string) => never;
}

function decode(value: Json, context: DecodeContext): Json {
  const { schema, path, complain } = context;
  if (typeof schema === "string") return decodeScalar(value, { ...context, schema });
  if (schema instanceof Array) {
    if (!Array.isArray(value)) return complain(path, "wants an array");
    return value.map((item, i) =>
      decode(item, { ...context, schema: schema[0], path: `${path}[${i}]` })
    );
  }
  if (!isObject(value)) return complain(path, "wants an object");
  const known = fieldsOf(schema);
  const result: JsonObject = {};
  for (const [field, item] of Object.entries(value)) {
    const fieldSchema = known[field] ?? known["*"];
    const fieldPath = path === "" ? field : `${path}.${field}`;
    if (fieldSchema === undefined && context.isStrict) complain(fieldPath, "unknown field");
    if (fieldSchema === undefined || item === null || item === undefined) continue;
    result[field] = decode(item, { ...context, schema: fieldSchema, path: fieldPath });
  }
  return result;
}

function decodeScalar(value: Json, { schema, path, complain }: DecodeContext): Json {
  const isInt = typeof value === "number" && Number.isInteger(value) &&
    Math.abs(value) <= 0x7fffffff;
  const isText = typeof value === "string";
  const isRight = schema === "any" ||
    (schema === "bool" && typeof value === "boolean") ||
    (schema === "int" && isInt) ||
    (schema === "string" && isText) ||
    (schema === "intOrString" && (isInt || isText)) ||
    (schema === "time" && isText && !Number.isNaN(Date.parse(value)));
  return isRight ? value : complain(path, `wants ${String(schema)}, got ${JSON.stringify(value)}`);
}
