/**
 * What makes a Service unacceptable, as kube-apiserver 1.36 sees it (validation of core/v1).
 *
 * @module
 */

import { NODE_PORTS } from "./allocation.ts";
import { parseAddress } from "./addresses.ts";
import type { Causes } from "./checks.ts";
import {
  isEqual,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from "./json.ts";
import { isExternallyAccessible, needsHealthCheckPort } from "./service_defaults.ts";

const POLICIES = ["Cluster", "Local"];
const PORT_RANGE = [1, 65_535] as const;
const DAY_SECONDS = 86_400;

/** Appends what is wrong with a defaulted Service. */
export function checkService(service: JsonObject, causes: Causes): void {
  const spec = objectAt(service, "spec");
  causes.at("spec.type").oneOf(spec["type"], [
    "ClusterIP",
    "NodePort",
    "LoadBalancer",
    "ExternalName",
  ]);
  checkClusterIps(spec, causes);
  checkPorts(spec, causes);
  causes.at("spec.selector").labels(spec["selector"]);
  checkAffinity(spec, causes);
  checkPolicies(spec, causes);
  checkLoadBalancer(spec, causes);
  for (const [i, ip] of textsAt(spec, "externalIPs").entries()) {
    causes.at(`spec.externalIPs[${i}]`).target(ip);
  }
  if (spec["type"] === "ExternalName") checkExternalName(spec, causes);
}

function checkExternalName(spec: JsonObject, causes: Causes): void {
  if (textAt(spec, "clusterIP") !== "") {
    causes.at("spec.clusterIPs").forbidden("may not be set for ExternalName services");
  }
  const name = textAt(spec, "externalName");
  if (name === "") causes.at("spec.externalName").required();
  else causes.at("spec.externalName").subdomain(name.replace(/\.$/, ""));
}

function checkClusterIps(spec: JsonObject, causes: Causes): void {
  const ips = textsAt(spec, "clusterIPs");
  const first = textAt(spec, "clusterIP");
  const isHeadless = first === "None";
  if (first !== "" && ips.length > 0 && ips[0] !== first) {
    causes.at("spec.clusterIPs[0]").invalid(ips[0], "must equal clusterIP");
  }
  if (isHeadless && (spec["type"] === "NodePort" || spec["type"] === "LoadBalancer")) {
    causes.at("spec.clusterIPs[0]").invalid("None", `may not be None for ${spec["type"]} services`);
  }
  causes.at("spec.clusterIPs").atMost(ips.length, 2);
  const texts = ips.length > 0 ? ips : [first].filter((ip) => ip !== "");
  for (const [i, ip] of texts.entries()) {
    if (ip === "None" && i === 0) continue;
    if (!parseAddress(ip)) {
      causes.at(`spec.clusterIPs[${i}]`).invalid(ip, "must be a valid IP address");
    }
  }
  const families = textsAt(spec, "ipFamilies");
  for (const [i, family] of families.entries()) {
    causes.at(`spec.ipFamilies[${i}]`).oneOf(family, ["IPv4", "IPv6"]);
    if (families.indexOf(family) < i) causes.at(`spec.ipFamilies[${i}]`).duplicate(family);
  }
  if (spec["ipFamilyPolicy"] !== undefined) {
    causes.at("spec.ipFamilyPolicy").oneOf(spec["ipFamilyPolicy"], [
      "SingleStack",
      "PreferDualStack",
      "RequireDualStack",
    ]);
  }
}

function checkPorts(spec: JsonObject, causes: Causes): void {
  const ports = objectsAt(spec, "ports");
  const mayBeEmpty = textAt(spec, "clusterIP") === "None" || spec["type"] === "ExternalName";
  if (ports.length === 0 && !mayBeEmpty) causes.at("spec.ports").required();
  const seen = { names: new Set<string>(), ports: new Set<string>(), nodePorts: new Set<string>() };
  for (const [i, port] of ports.entries()) {
    const path = `spec.ports[${i}]`;
    checkPort(port, { path, spec, causes, needsName: ports.length > 1 });
    const name = textAt(port, "name");
    if (name !== "" && seen.names.has(name)) causes.at(`${path}.name`).duplicate(name);
    seen.names.add(name);
    const { protocol, port: number, nodePort } = port;
    if (seen.ports.has(`${protocol}/${number}`)) {
      causes.at(path).duplicate({ protocol, port: number });
    }
    seen.ports.add(`${protocol}/${number}`);
    if (numberAt(port, "nodePort") === 0) continue;
    if (seen.nodePorts.has(`${protocol}/${nodePort}`)) {
      causes.at(`${path}.nodePort`).duplicate(nodePort);
    }
    seen.nodePorts.add(`${protocol}/${nodePort}`);
  }
}

interface PortContext {
  readonly path: string;
  readonly spec: JsonObject;
  readonly causes: Causes;
  readonly needsName: boolean;
}

function checkPort(port: JsonObject, { path, spec, causes, needsName }: PortContext): void {
  const name = textAt(port, "name");
  if (name !== "") causes.at(`${path}.name`).label(name);
  else if (needsName) causes.at(`${path}.name`).required();
  causes.at(`${path}.port`).between(port["port"], PORT_RANGE);
  causes.at(`${path}.protocol`).oneOf(port["protocol"], ["TCP", "UDP", "SCTP"]);
  const { targetPort } = port;
  if (typeof targetPort === "number") {
    causes.at(`${path}.targetPort`).between(targetPort, PORT_RANGE);
  } else if (!isPortName(String(targetPort))) {
    causes.at(`${path}.targetPort`).invalid(
      targetPort,
      "must be a port name of at most 15 characters",
    );
  }
  const appProtocol = textAt(port, "appProtocol");
  if (appProtocol !== "") causes.at(`${path}.appProtocol`).qualifiedName(appProtocol);
  const nodePort = numberAt(port, "nodePort");
  if (nodePort === 0) return;
  if (spec["type"] !== "NodePort" && spec["type"] !== "LoadBalancer") {
    causes.at(`${path}.nodePort`).forbidden(`may not be used when type is '${spec["type"]}'`);
  }
  if (nodePort < NODE_PORTS[0] || nodePort > NODE_PORTS[1]) {
    causes.at(`${path}.nodePort`).invalid(
      nodePort,
      `provided port is not in the valid range. The range of valid ports is ${
        NODE_PORTS.join("-")
      }`,
    );
  }
}

function isPortName(name: string): boolean {
  return name.length <= 15 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name) && /[a-z]/.test(name) &&
    !name.includes("--");
}

function checkAffinity(spec: JsonObject, causes: Causes): void {
  causes.at("spec.sessionAffinity").oneOf(spec["sessionAffinity"], ["ClientIP", "None"]);
  const seconds = valueAt(spec, "sessionAffinityConfig.clientIP.timeoutSeconds");
  if (spec["sessionAffinity"] === "ClientIP") {
    const path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
    causes.at(path).between(seconds, [1, DAY_SECONDS]);
  } else if (spec["sessionAffinityConfig"] !== undefined) {
    causes.at("spec.sessionAffinityConfig").forbidden(
      "may not be set when sessionAffinity is None",
    );
  }
}

function checkPolicies(spec: JsonObject, causes: Causes): void {
  const external = spec["externalTrafficPolicy"];
  if (external !== undefined && external !== "") {
    if (!isExternallyAccessible(spec)) {
      causes.at("spec.externalTrafficPolicy").invalid(
        external,
        "may only be set for externally-accessible services",
      );
    }
    causes.at("spec.externalTrafficPolicy").oneOf(external, POLICIES);
  }
  if (spec["internalTrafficPolicy"] !== undefined) {
    causes.at("spec.internalTrafficPolicy").oneOf(spec["internalTrafficPolicy"], POLICIES);
  }
  if (spec["trafficDistribution"] !== undefined) {
    causes.at("spec.trafficDistribution").oneOf(spec["trafficDistribution"], [
      "PreferClose",
      "PreferSameZone",
      "PreferSameNode",
    ]);
  }
  const port = numberAt(spec, "healthCheckNodePort");
  if (port !== 0 && !needsHealthCheckPort(spec)) {
    causes.at("spec.healthCheckNodePort").invalid(
      port,
      "may only be set when type is 'LoadBalancer' and externalTrafficPolicy is 'Local'",
    );
  }
}

function checkLoadBalancer(spec: JsonObject, causes: Causes): void {
  const isLoadBalancer = spec["type"] === "LoadBalancer";
  for (const field of ["allocateLoadBalancerNodePorts", "loadBalancerClass"]) {
    if (!isLoadBalancer && spec[field] !== undefined) {
      causes.at(`spec.${field}`).forbidden("may only be used when type is 'LoadBalancer'");
    }
  }
  const ranges = textsAt(spec, "loadBalancerSourceRanges");
  if (ranges.length > 0 && !isLoadBalancer) {
    causes.at("spec.loadBalancerSourceRanges").forbidden(
      "may only be used when type is 'LoadBalancer'",
    );
  }
  for (const [i, range] of ranges.entries()) {
    causes.at(`spec.loadBalancerSourceRanges[${i}]`).range(range.trim());
  }
}

/** Appends what is wrong with the status of a Service. */
export function checkServiceStatus(service: JsonObject, causes: Causes): void {
  const ingress = objectsAt(service, "status.loadBalancer.ingress");
  if (ingress.length > 0 && textAt(service, "spec.type") !== "LoadBalancer") {
    causes.at("status.loadBalancer.ingress").forbidden(
      "may only be used when type is 'LoadBalancer'",
    );
  }
  for (const [i, entry] of ingress.entries()) {
    const path = `status.loadBalancer.ingress[${i}]`;
    const { ip, hostname, ipMode } = entry;
    if (typeof ip === "string" && ip !== "" && !parseAddress(ip)) {
      causes.at(`${path}.ip`).invalid(ip, "must be a valid IP address");
    }
    if (ipMode !== undefined) causes.at(`${path}.ipMode`).oneOf(ipMode, ["VIP", "Proxy"]);
    if (ipMode !== undefined && !ip) {
      causes.at(`${path}.ipMode`).forbidden("may not be set without ip");
    }
    if (typeof hostname === "string" && hostname !== "") {
      if (parseAddress(hostname)) causes.at(`${path}.hostname`).invalid(hostname, "must be a name");
      else causes.at(`${path}.hostname`).subdomain(hostname);
    }
  }
}

/** Appends what an update may not change. */
export function checkServiceUpdate(
  { service, old }: { service: JsonObject; old: JsonObject },
  causes: Causes,
): void {
  const spec = objectAt(service, "spec");
  const oldSpec = objectAt(old, "spec");
  const isExternalName = spec["type"] === "ExternalName" || oldSpec["type"] === "ExternalName";
  const oldIp = textsAt(oldSpec, "clusterIPs")[0];
  const newIp = textsAt(spec, "clusterIPs")[0] ?? textAt(spec, "clusterIP");
  if (!isExternalName && oldIp !== undefined && newIp !== oldIp) {
    causes.at("spec.clusterIPs[0]").invalid(newIp, "may not change once set");
  }
  const newFamily = textsAt(spec, "ipFamilies")[0];
  if (!isExternalName && newFamily && newFamily !== textsAt(oldSpec, "ipFamilies")[0]) {
    causes.at("spec.ipFamilies[0]").invalid(newFamily, "may not change once set");
  }
  const bothCheck = needsHealthCheckPort(spec) && needsHealthCheckPort(oldSpec);
  if (bothCheck && !isEqual(spec["healthCheckNodePort"], oldSpec["healthCheckNodePort"])) {
    causes.at("spec.healthCheckNodePort").forbidden("field is immutable");
  }
  const bothBalance = spec["type"] === "LoadBalancer" && oldSpec["type"] === "LoadBalancer";
  if (bothBalance && !isEqual(spec["loadBalancerClass"], oldSpec["loadBalancerClass"])) {
    causes.at("spec.loadBalancerClass").invalid(
      spec["loadBalancerClass"],
      "may not change once set",
    );
  }
}
