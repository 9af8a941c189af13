/**
 * What the API server fills into a Service: static defaults, the fields an update left out, IP
 * families, cluster IPs, node ports. Mirrors the defaulting and allocation of kube-apiserver 1.36.
 *
 * @module
 */

import { type Allocation, type Family, hasAny, nodePorts, serviceKey } from "./allocation.ts";
import { familyOf, formatAddress, parseAddress } from "./addresses.ts";
import {
  isEqual,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
  withoutEmpty,
} from "./json.ts";
import type { Causes } from "./checks.ts";

/** The Service with its static defaults. */
export function defaultService(service: JsonObject): JsonObject {
  const spec = withoutEmpty(objectAt(service, "spec"), ["allocateLoadBalancerNodePorts"]);
  spec["type"] ??= "ClusterIP";
  spec["sessionAffinity"] ??= "None";
  if (spec["sessionAffinity"] === "ClientIP") {
    const timeoutSeconds = valueAt(spec, "sessionAffinityConfig.clientIP.timeoutSeconds") ?? 10_800;
    spec["sessionAffinityConfig"] = { clientIP: { timeoutSeconds } };
  }
  const ports = objectsAt(spec, "ports").map(defaultPort);
  if (ports.length > 0) spec["ports"] = ports;
  if (isExternallyAccessible(spec)) spec["externalTrafficPolicy"] ||= "Cluster";
  if (spec["type"] !== "ExternalName") spec["internalTrafficPolicy"] ??= "Cluster";
  if (spec["type"] === "LoadBalancer") spec["allocateLoadBalancerNodePorts"] ??= true;
  const status: JsonObject = { ...objectAt(service, "status") };
  status["loadBalancer"] = defaultLoadBalancer(objectAt(status, "loadBalancer"));
  return { ...service, spec, status };
}

function defaultPort(port: JsonObject): JsonObject {
  const { targetPort } = port;
  const hasTarget = targetPort !== undefined && targetPort !== 0 && targetPort !== "";
  return {
    ...withoutEmpty(port),
    protocol: port["protocol"] || "TCP",
    targetPort: hasTarget ? targetPort : port["port"],
  };
}

function defaultLoadBalancer(status: JsonObject): JsonObject {
  const ingress = objectsAt(status, "ingress").map((entry) =>
    textAt(entry, "ip") === "" || entry["ipMode"] ? entry : { ...entry, ipMode: "VIP" }
  );
  return withoutEmpty({ ...status, ingress });
}

/** NodePort, LoadBalancer, or with external IPs. */
export function isExternallyAccessible(spec: JsonObject): boolean {
  return spec["type"] === "NodePort" || spec["type"] === "LoadBalancer" ||
    (spec["type"] === "ClusterIP" && textsAt(spec, "externalIPs").length > 0);
}

/** LoadBalancer with externalTrafficPolicy Local. */
export function needsHealthCheckPort(spec: JsonObject): boolean {
  return spec["type"] === "LoadBalancer" && spec["externalTrafficPolicy"] === "Local";
}

/** What an update left out but the server allocated before stays; what a new type forbids goes. */
export function inheritAllocated(service: JsonObject, old: JsonObject): JsonObject {
  const spec: JsonObject = { ...objectAt(service, "spec") };
  const oldSpec = objectAt(old, "spec");
  const type = spec["type"] ?? "ClusterIP";
  if (type !== "ExternalName" && oldSpec["type"] !== "ExternalName") {
    inheritClusterIps(spec, oldSpec);
  }
  if (type === "NodePort" || type === "LoadBalancer") inheritNodePorts(spec, oldSpec);
  if (needsHealthCheckPort(spec) && needsHealthCheckPort(oldSpec)) {
    spec["healthCheckNodePort"] ||= oldSpec["healthCheckNodePort"];
  }
  dropForeignFields({ ...spec, type }, { spec, oldSpec });
  return { ...service, spec };
}

function inheritClusterIps(spec: JsonObject, oldSpec: JsonObject): void {
  if (textAt(spec, "clusterIP") === "" && !hasAny(spec, "clusterIPs")) {
    spec["clusterIP"] = oldSpec["clusterIP"];
    spec["clusterIPs"] = oldSpec["clusterIPs"];
    spec["ipFamilies"] ??= oldSpec["ipFamilies"];
    spec["ipFamilyPolicy"] ??= oldSpec["ipFamilyPolicy"];
  } else if (!hasAny(spec, "clusterIPs") && spec["clusterIP"] === oldSpec["clusterIP"]) {
    spec["clusterIPs"] = oldSpec["clusterIPs"];
    spec["ipFamilies"] ??= oldSpec["ipFamilies"];
    spec["ipFamilyPolicy"] ??= oldSpec["ipFamilyPolicy"];
  }
}

function inheritNodePorts(spec: JsonObject, oldSpec: JsonObject): void {
  const oldPorts = objectsAt(oldSpec, "ports");
  const taken = new Set(objectsAt(spec, "ports").map((port) => numberAt(port, "nodePort")));
  spec["ports"] = objectsAt(spec, "ports").map((port) => {
    if (numberAt(port, "nodePort") > 0) return port;
    const old = oldPorts.find((other) =>
      other["port"] === port["port"] && other["protocol"] === (port["protocol"] ?? "TCP")
    );
    const nodePort = numberAt(old, "nodePort");
    return nodePort > 0 && !taken.has(nodePort) ? { ...port, nodePort } : port;
  });
}

function dropForeignFields(
  wanted: JsonObject,
  { spec, oldSpec }: { spec: JsonObject; oldSpec: JsonObject },
): void {
  if (hasNodePorts(oldSpec) && !hasNodePorts(wanted)) {
    const old = new Set(nodePorts({ spec: oldSpec }));
    spec["ports"] = objectsAt(spec, "ports").map(({ nodePort, ...port }) =>
      nodePort === undefined || old.has(Number(nodePort)) ? port : { ...port, nodePort }
    );
  }
  for (const [needs, fields] of FIELD_NEEDS) {
    if (!needs(oldSpec) || needs(wanted)) continue;
    for (const field of fields) if (isEqual(spec[field], oldSpec[field])) delete spec[field];
  }
}

function hasNodePorts(spec: JsonObject): boolean {
  return spec["type"] === "NodePort" || spec["type"] === "LoadBalancer";
}

function isLoadBalancer(spec: JsonObject): boolean {
  return spec["type"] === "LoadBalancer";
}

function hasClusterIp(spec: JsonObject): boolean {
  return spec["type"] !== "ExternalName";
}

/** Fields that go when the Service ceases to be what they need, unless the update changes them. */
const FIELD_NEEDS: readonly (readonly [(spec: JsonObject) => boolean, readonly string[]])[] = [
  [hasClusterIp, ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]],
  [hasClusterIp, ["internalTrafficPolicy"]],
  [isExternallyAccessible, ["externalTrafficPolicy"]],
  [needsHealthCheckPort, ["healthCheckNodePort"]],
  [isLoadBalancer, ["allocateLoadBalancerNodePorts", "loadBalancerClass"]],
];

/** Fills in families, cluster IPs and node ports. Call it on a Service that is otherwise valid. */
export function allocateService(
  service: JsonObject,
  { allocation, causes }: { allocation: Allocation; causes: Causes },
): JsonObject {
  const spec: JsonObject = { ...objectAt(service, "spec") };
  const owner = serviceKey(service);
  if (spec["type"] !== "ExternalName") {
    if (textAt(spec, "clusterIP") !== "" && !hasAny(spec, "clusterIPs")) {
      spec["clusterIPs"] = [textAt(spec, "clusterIP")];
    }
    chooseFamilies(spec, { allocation, causes });
    if (causes.list.length === 0 && textsAt(spec, "clusterIPs")[0] !== "None") {
      chooseClusterIps(spec, { allocation, causes, owner });
    }
    spec["clusterIP"] = textsAt(spec, "clusterIPs")[0] ?? "";
  }
  chooseNodePorts(spec, { allocation, causes, owner });
  return { ...service, spec };
}

interface Choice {
  readonly allocation: Allocation;
  readonly causes: Causes;
  readonly owner: string;
}

function chooseFamilies(spec: JsonObject, { allocation, causes }: Omit<Choice, "owner">): void {
  const ips = textsAt(spec, "clusterIPs");
  const isHeadless = ips[0] === "None";
  const given = textsAt(spec, "ipFamilies");
  const isSelectorless = Object.keys(objectAt(spec, "selector")).length === 0;
  const isOpen = isHeadless && isSelectorless;
  const asksForTwo = ips.length === 2 || given.length === 2 || isOpen;
  spec["ipFamilyPolicy"] ??= asksForTwo ? "RequireDualStack" : "SingleStack";
  const known = allocation.families();
  const families: string[] = given.length > 0 ? given : ips.flatMap((ip) => {
    const address = parseAddress(ip);
    return address ? [familyOf(address)] : [];
  });
  if (families.length === 0) families.push(...known.slice(0, 1));
  const isDual = spec["ipFamilyPolicy"] !== "SingleStack";
  const everything: readonly string[] = isOpen ? ["IPv4", "IPv6"] : known;
  if (isDual && families.length === 1) {
    families.push(...everything.filter((family) => family !== families[0]));
  }
  if (!isDual && families.length > 1) {
    causes.at("spec.ipFamilyPolicy").invalid("SingleStack", "does not go with two families");
  }
  if (spec["ipFamilyPolicy"] === "RequireDualStack" && families.length < 2) {
    causes.at("spec.ipFamilyPolicy").invalid("RequireDualStack", "this cluster has one family");
  }
  for (const [i, family] of families.entries()) {
    if (!everything.includes(family)) {
      causes.at(`spec.ipFamilies[${i}]`).invalid(family, "not configured on this cluster");
    }
  }
  spec["ipFamilies"] = families;
}

function chooseClusterIps(spec: JsonObject, { allocation, causes, owner }: Choice): void {
  const families = textsAt(spec, "ipFamilies");
  const ips = textsAt(spec, "clusterIPs").slice(0, families.length);
  for (const [i, family] of families.entries()) {
    const path = `spec.clusterIPs[${i}]`;
    const wanted = ips[i];
    const address = wanted === undefined ? undefined : parseAddress(wanted);
    if (wanted === undefined) {
      const ip = allocation.nextIp(family === "IPv6" ? "IPv6" : "IPv4" satisfies Family);
      if (ip === undefined) {
        causes.at(path).invalid(null, "failed to allocate an IP: range is full");
      } else ips[i] = ip;
    } else if (address) {
      const holder = allocation.ownerOf(formatAddress(address));
      if (holder !== undefined && holder !== owner) {
        causes.at(path).invalid(wanted, "failed to allocate IP: provided IP is already allocated");
      } else if (holder === undefined && !allocation.isServiceIp(address)) {
        causes.at(path).invalid(wanted, "failed to allocate IP: not in the valid range");
      } else if (familyOf(address) !== family) {
        causes.at(path).invalid(wanted, `expected an ${family} value`);
      }
    }
  }
  spec["clusterIPs"] = ips;
}

function chooseNodePorts(spec: JsonObject, { allocation, causes, owner }: Choice): void {
  const taken = new Set(nodePorts({ spec }));
  for (const port of taken) {
    const holder = allocation.ownerOf(port);
    if (holder !== undefined && holder !== owner) {
      causes.at("spec.ports[0].nodePort").invalid(port, "provided port is already allocated");
    }
  }
  const next = (): number => {
    const port = allocation.nextNodePort(taken);
    if (port === undefined) causes.at("spec.ports[0].nodePort").invalid(null, "range is full");
    else taken.add(port);
    return port ?? 0;
  };
  const isWanted = spec["type"] === "NodePort" ||
    (spec["type"] === "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] !== false);
  if (isWanted) {
    const chosen = new Map<string, number>();
    spec["ports"] = objectsAt(spec, "ports").map((port) => {
      // DNS-like services: the same port number over TCP and UDP gets one node port.
      const twin = chosen.get(String(port["port"]));
      const nodePort = numberAt(port, "nodePort") || twin || next();
      chosen.set(String(port["port"]), nodePort);
      return { ...port, nodePort };
    });
  }
  if (needsHealthCheckPort(spec) && numberAt(spec, "healthCheckNodePort") === 0) {
    spec["healthCheckNodePort"] = next();
  }
}
