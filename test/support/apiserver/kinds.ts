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
  checkName: (name, causes) => causes.at("metadata.name").serviceName(name),
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
  checkName: (name, causes) => causes.at("metadata.name").subdomain(name),
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
    causes.at("addressType").oneOf(slice["addressType"], ["IPv4", "IPv6", "FQDN"]);
    if (old && !isEqual(old["addressType"], slice["addressType"])) {
      causes.at("addressType").invalid(slice["addressType"], "field is immutable");
    }
    const endpoints = objectsAt(slice, "endpoints");
    if (causes.at("endpoints").atMost(endpoints.length, MAX_ENDPOINTS)) {
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
  if (addresses.length === 0) causes.at(`${path}.addresses`).required("at least 1 address");
  causes.at(`${path}.addresses`).atMost(addresses.length, MAX_ADDRESSES);
  for (const [i, text] of addresses.entries()) {
    const field = `${path}.addresses[${i}]`;
    if (slice["addressType"] === "FQDN") causes.at(field).subdomain(text);
    else {
      const address = parseAddress(text);
      if (address && familyOf(address) !== slice["addressType"]) {
        causes.at(field).invalid(text, `must be an ${textAt(slice, "addressType")} address`);
      } else causes.at(field).target(text);
    }
  }
  const nodeName = textAt(endpoint, "nodeName");
  if (nodeName !== "") causes.at(`${path}.nodeName`).subdomain(nodeName);
  const hostname = textAt(endpoint, "hostname");
  if (hostname !== "") causes.at(`${path}.hostname`).label(hostname);
  for (const kind of ["forZones", "forNodes"]) {
    const hints = objectsAt(endpoint, `hints.${kind}`);
    causes.at(`${path}.hints.${kind}`).atMost(hints.length, MAX_HINTS);
    for (const [i, hint] of hints.entries()) {
      if (textAt(hint, "name") === "") causes.at(`${path}.hints.${kind}[${i}].name`).required();
    }
  }
}

function checkSlicePorts(slice: JsonObject, causes: Causes): void {
  const ports = objectsAt(slice, "ports");
  if (!causes.at("ports").atMost(ports.length, MAX_PORTS)) return;
  const names = new Set<string>();
  for (const [i, port] of ports.entries()) {
    const path = `ports[${i}]`;
    const name = textAt(port, "name");
    if (name !== "") causes.at(`${path}.name`).label(name);
    if (names.has(name)) causes.at(`${path}.name`).duplicate(name);
    names.add(name);
    causes.at(`${path}.protocol`).oneOf(port["protocol"], ["TCP", "UDP", "SCTP"]);
    if (port["port"] !== undefined) causes.at(`${path}.port`).between(port["port"], [1, 65_535]);
    const appProtocol = textAt(port, "appProtocol");
    if (appProtocol !== "") causes.at(`${path}.appProtocol`).qualifiedName(appProtocol);
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
  checkName: (name, causes) => causes.at("metadata.name").subdomain(name),
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
      causes.at("spec.podCIDRs").forbidden(
        "node updates may only change labels, taints and the like",
      );
    }
    for (const [i, taint] of objectsAt(node, "spec.taints").entries()) {
      causes.at(`spec.taints[${i}].key`).qualifiedName(textAt(taint, "key"));
      causes.at(`spec.taints[${i}].effect`).oneOf(taint["effect"], [
        "NoSchedule",
        "PreferNoSchedule",
        "NoExecute",
      ]);
    }
  },
};

const SERVICE_CIDR: KindRules = {
  checkName: (name, causes) => causes.at("metadata.name").subdomain(name),
  complete: (cidr) => ({ ...cidr, status: objectAt(cidr, "status") }),
  check: (cidr, { old, causes }) => {
    const cidrs = textsAt(cidr, "spec.cidrs");
    if (cidrs.length === 0) causes.at("spec.cidrs").required("at least one CIDR");
    checkRanges(cidrs, { field: "spec.cidrs", causes });
    for (const [i, text] of cidrs.entries()) {
      const range = parseRange(text);
      if (range && !isNetworkAddress(range)) {
        causes.at(`spec.cidrs[${i}]`).invalid(text, "must not have bits set behind its prefix");
      }
    }
    const oldCidrs = textsAt(old, "spec.cidrs");
    if (!isEqual(cidrs.slice(0, oldCidrs.length), oldCidrs)) {
      causes.at("spec.cidrs").invalid(
        cidrs,
        "field is immutable, only a second family may be added",
      );
    }
  },
};

function checkRanges(
  cidrs: readonly string[],
  { field, causes }: { field: string; causes: Causes },
): void {
  if (!causes.at(field).atMost(cidrs.length, 2)) return;
  for (const [i, text] of cidrs.entries()) causes.at(`${field}[${i}]`).range(text);
  const families = cidrs.flatMap((text) => {
    const range = parseRange(text);
    return range ? [familyOf(range.first)] : [];
  });
  if (families.length === 2 && families[0] === families[1]) {
    causes.at(field).invalid([...cidrs], "may have one range of each family");
  }
}

const MICRO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

const EVENT: KindRules = {
  checkName: (name, causes) => causes.at("metadata.name").subdomain(name),
  complete: (event) => event,
  check: (event, { old, causes }) => {
    if (old) return;
    if (!MICRO_TIME.test(textAt(event, "eventTime"))) causes.at("eventTime").required();
    for (const field of ["reportingController", "reportingInstance", "action", "reason"]) {
      const text = textAt(event, field);
      if (text === "") causes.at(field).required();
      if (text.length > 128) causes.at(field).invalid(text, "can have at most 128 characters");
    }
    causes.at("type").oneOf(event["type"], ["Normal", "Warning"]);
    if (textAt(event, "note").length > 1024) {
      causes.at("note").invalid(textAt(event, "note"), "can have at most 1024 characters");
    }
    const namespace = textAt(event, "regarding.namespace") || "default";
    if (namespace !== textAt(event, "metadata.namespace")) {
      causes.at("involvedObject.namespace").invalid(namespace, "does not match event.namespace");
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
