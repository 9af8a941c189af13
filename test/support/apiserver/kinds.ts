/**
 * Defaults and rules of each kind, found by name: what the API server fills in, and what it
 * refuses at create and update.
 *
 * @module
 */

import { familyOf, isNetworkAddress, parseAddress, parseRange } from "./addresses.ts";
import type { Causes } from "./checks.ts";
import {
  isEqual,
  type Json,
  type JsonObject,
  listAt,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
} from "./json.ts";
import { defaultService, inheritAllocated } from "./service_defaults.ts";
import { checkService, checkServiceStatus, checkServiceUpdate } from "./service_validation.ts";

/** What is special about one kind. */
export interface KindRules {
  checkName(name: string, causes: Causes): void;
  /** The object with its defaults; `old` at an update. */
  complete(object: JsonObject, old: JsonObject | undefined): JsonObject;
  /** Appends what is wrong with a completed object; `old` at an update. */
  check(object: JsonObject, context: { old: JsonObject | undefined; causes: Causes }): void;
}

const SERVICE: KindRules = {
  checkName: (name, causes) => causes.serviceName("metadata.name", name),
  complete: (service, old) => defaultService(old ? inheritAllocated(service, old) : service),
  check: (service, { old, causes }) => {
    checkService(service, causes);
    checkServiceStatus(service, causes);
    if (old) checkServiceUpdate({ service, old }, causes);
  },
};

const MAX_ENDPOINTS = 1_000;
const MAX_ADDRESSES = 100;
const MAX_PORTS = 20_000;
const MAX_HINTS = 8;

const SLICE: KindRules = {
  checkName: (name, causes) => causes.subdomain("metadata.name", name),
  complete: (slice) => ({
    ...slice,
    endpoints: orNull(
      objectsAt(slice, "endpoints").map((endpoint) => ({ conditions: {}, ...endpoint })),
    ),
    ports: orNull(
      objectsAt(slice, "ports").map((port) => ({
        ...port,
        name: port["name"] ?? "",
        protocol: port["protocol"] ?? "TCP",
      })),
    ),
  }),
  check: (slice, { old, causes }) => {
    causes.oneOf("addressType", slice["addressType"], ["IPv4", "IPv6", "FQDN"]);
    if (old && !isEqual(old["addressType"], slice["addressType"])) {
      causes.invalid("addressType", slice["addressType"], "field is immutable");
    }
    const endpoints = objectsAt(slice, "endpoints");
    if (causes.atMost("endpoints", endpoints.length, MAX_ENDPOINTS)) {
      for (const [i, endpoint] of endpoints.entries()) {
        checkEndpoint(endpoint, { path: `endpoints[${i}]`, slice, causes });
      }
    }
    checkSlicePorts(slice, causes);
  },
};

/** A list that nobody set is null in JSON, not left out. */
function orNull(list: JsonObject[]): Json {
  return list.length > 0 ? list : null;
}

function checkEndpoint(
  endpoint: JsonObject,
  { path, slice, causes }: { path: string; slice: JsonObject; causes: Causes },
): void {
  const addresses = textsAt(endpoint, "addresses");
  if (addresses.length === 0) causes.required(`${path}.addresses`, "at least 1 address");
  causes.atMost(`${path}.addresses`, addresses.length, MAX_ADDRESSES);
  for (const [i, text] of addresses.entries()) {
    const field = `${path}.addresses[${i}]`;
    if (slice["addressType"] === "FQDN") causes.subdomain(field, text);
    else {
      const address = parseAddress(text);
      if (address && familyOf(address) !== slice["addressType"]) {
        causes.invalid(field, text, `must be an ${textAt(slice, "addressType")} address`);
      } else causes.target(field, text);
    }
  }
  const nodeName = textAt(endpoint, "nodeName");
  if (nodeName !== "") causes.subdomain(`${path}.nodeName`, nodeName);
  const hostname = textAt(endpoint, "hostname");
  if (hostname !== "") causes.label(`${path}.hostname`, hostname);
  for (const kind of ["forZones", "forNodes"]) {
    const hints = objectsAt(endpoint, `hints.${kind}`);
    causes.atMost(`${path}.hints.${kind}`, hints.length, MAX_HINTS);
    for (const [i, hint] of hints.entries()) {
      if (textAt(hint, "name") === "") causes.required(`${path}.hints.${kind}[${i}].name`);
    }
  }
}

function checkSlicePorts(slice: JsonObject, causes: Causes): void {
  const ports = objectsAt(slice, "ports");
  if (!causes.atMost("ports", ports.length, MAX_PORTS)) return;
  const names = new Set<string>();
  for (const [i, port] of ports.entries()) {
    const path = `ports[${i}]`;
    const name = textAt(port, "name");
    if (name !== "") causes.label(`${path}.name`, name);
    if (names.has(name)) causes.duplicate(`${path}.name`, name);
    names.add(name);
    causes.oneOf(`${path}.protocol`, port["protocol"], ["TCP", "UDP", "SCTP"]);
    if (port["port"] !== undefined) causes.between(`${path}.port`, port["port"], [1, 65_535]);
    const appProtocol = textAt(port, "appProtocol");
    if (appProtocol !== "") causes.qualifiedName(`${path}.appProtocol`, appProtocol);
  }
}

const NODE_INFO_FIELDS = [
  "machineID",
  "systemUUID",
  "bootID",
  "kernelVersion",
  "osImage",
  "containerRuntimeVersion",
  "kubeletVersion",
  "kubeProxyVersion",
  "operatingSystem",
  "architecture",
];
const EMPTY_NODE_STATUS: JsonObject = {
  daemonEndpoints: { kubeletEndpoint: { Port: 0 } },
  nodeInfo: Object.fromEntries(NODE_INFO_FIELDS.map((field) => [field, ""])),
};

const NODE: KindRules = {
  checkName: (name, causes) => causes.subdomain("metadata.name", name),
  complete: (node, old) => {
    const spec: JsonObject = { ...objectAt(node, "spec") };
    const first = textAt(spec, "podCIDR");
    if (first !== "" && listAt(spec, "podCIDRs").length === 0) spec["podCIDRs"] = [first];
    if (first === "" && textsAt(spec, "podCIDRs")[0]) {
      spec["podCIDR"] = textsAt(spec, "podCIDRs")[0];
    }
    // Admission: nothing is scheduled to a node that has not reported yet.
    if (!old) spec["taints"] ??= [{ key: "node.kubernetes.io/not-ready", effect: "NoSchedule" }];
    return { ...node, spec, status: { ...EMPTY_NODE_STATUS, ...objectAt(node, "status") } };
  },
  check: (node, { old, causes }) => {
    const cidrs = textsAt(node, "spec.podCIDRs");
    checkRanges(cidrs, { field: "spec.podCIDRs", causes });
    const oldCidrs = listAt(old, "spec.podCIDRs");
    if (oldCidrs.length > 0 && !isEqual(oldCidrs, cidrs)) {
      causes.forbidden("spec.podCIDRs", "node updates may only change labels, taints and the like");
    }
    for (const [i, taint] of objectsAt(node, "spec.taints").entries()) {
      causes.qualifiedName(`spec.taints[${i}].key`, textAt(taint, "key"));
      causes.oneOf(`spec.taints[${i}].effect`, taint["effect"], [
        "NoSchedule",
        "PreferNoSchedule",
        "NoExecute",
      ]);
    }
  },
};

const SERVICE_CIDR: KindRules = {
  checkName: (name, causes) => causes.subdomain("metadata.name", name),
  complete: (cidr) => ({ ...cidr, status: objectAt(cidr, "status") }),
  check: (cidr, { old, causes }) => {
    const cidrs = textsAt(cidr, "spec.cidrs");
    if (cidrs.length === 0) causes.required("spec.cidrs", "at least one CIDR");
    checkRanges(cidrs, { field: "spec.cidrs", causes });
    for (const [i, text] of cidrs.entries()) {
      const range = parseRange(text);
      if (range && !isNetworkAddress(range)) {
        causes.invalid(`spec.cidrs[${i}]`, text, "must not have bits set behind its prefix");
      }
    }
    const oldCidrs = textsAt(old, "spec.cidrs");
    if (!isEqual(cidrs.slice(0, oldCidrs.length), oldCidrs)) {
      causes.invalid("spec.cidrs", cidrs, "field is immutable, only a second family may be added");
    }
  },
};

function checkRanges(
  cidrs: readonly string[],
  { field, causes }: { field: string; causes: Causes },
): void {
  if (!causes.atMost(field, cidrs.length, 2)) return;
  for (const [i, text] of cidrs.entries()) causes.range(`${field}[${i}]`, text);
  const families = cidrs.flatMap((text) => {
    const range = parseRange(text);
    return range ? [familyOf(range.first)] : [];
  });
  if (families.length === 2 && families[0] === families[1]) {
    causes.invalid(field, [...cidrs], "may have one range of each family");
  }
}

const MICRO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

const EVENT: KindRules = {
  checkName: (name, causes) => causes.subdomain("metadata.name", name),
  complete: (event) => event,
  check: (event, { old, causes }) => {
    if (old) return;
    if (!MICRO_TIME.test(textAt(event, "eventTime"))) causes.required("eventTime");
    for (const field of ["reportingController", "reportingInstance", "action", "reason"]) {
      const text = textAt(event, field);
      if (text === "") causes.required(field);
      if (text.length > 128) causes.invalid(field, text, "can have at most 128 characters");
    }
    causes.oneOf("type", event["type"], ["Normal", "Warning"]);
    if (textAt(event, "note").length > 1024) {
      causes.invalid("note", textAt(event, "note"), "can have at most 1024 characters");
    }
    const namespace = textAt(event, "regarding.namespace") || "default";
    if (namespace !== textAt(event, "metadata.namespace")) {
      causes.invalid("involvedObject.namespace", namespace, "does not match event.namespace");
    }
  },
};

/** Rules by kind. */
export const KIND_RULES: Readonly<Record<string, KindRules>> = {
  Service: SERVICE,
  EndpointSlice: SLICE,
  Node: NODE,
  ServiceCIDR: SERVICE_CIDR,
  Event: EVENT,
};
