/**
 * A Service as the API or a manifest writes it, e.g.
 *
 *     spec: {clusterIP: 10.96.0.10, ports: [{name: dns, port: 53, protocol: UDP}]}
 *
 * Defaults are those of the API server, for manifests that never met one. What cannot be used is
 * left out; without a ClusterIP of either family nothing remains.
 *
 * @module
 */

import { type Cidr, familyOf, familyOfCidr, IP_FAMILIES, type IpAddress } from "../model/ip.ts";
import type { Service, ServicePortSpec, TrafficPolicy } from "../model/objects.ts";
import { isGiven, type JsonObject, listAt, objectAt, parseObject, textAt } from "./json.ts";
import type { Meta } from "./meta.ts";
import type { Problems } from "./problems.ts";
import { parseCidrAt, parseIntegerAt, parseIpAt, parsePortAt, parseProtocolAt } from "./values.ts";

const TYPES = ["ClusterIP", "NodePort", "LoadBalancer"] as const;

/** Three hours: what the API server fills in. */
const DEFAULT_AFFINITY_SECONDS = 10_800;
const MAX_AFFINITY_SECONDS = 86_400;

/** Undefined when it is none of our business (SVC-01) or unusable; then `problems` say why. */
export function decodeService(
  json: JsonObject,
  { meta, problems }: { meta: Meta; problems: Problems },
): Service | undefined {
  const spec = objectAt(json, "spec");
  if (isWithoutClusterIp(spec)) return undefined;
  const type = decodeType(spec, problems);
  const clusterIps = decodeClusterIps(spec, problems);
  if (type === undefined || clusterIps.length === 0) return undefined;
  return {
    namespace: meta.namespace,
    name: meta.name,
    uid: meta.uid,
    type,
    clusterIps,
    externalIps: distinct(decodeIps(spec, "externalIPs", problems)),
    ...decodeLoadBalancer(json, problems),
    ports: decodePorts(spec, problems),
    affinitySeconds: decodeAffinity(spec, problems),
    internalTrafficPolicy: decodePolicy(spec, "internalTrafficPolicy"),
    externalTrafficPolicy: decodePolicy(spec, "externalTrafficPolicy"),
    healthCheckNodePort: decodeOptionalPort(spec, {
      name: "healthCheckNodePort",
      path: "spec.healthCheckNodePort",
      problems,
    }),
  };
}

function isWithoutClusterIp(spec: JsonObject): boolean {
  const first = isGiven(spec, "clusterIP") ? spec["clusterIP"] : listAt(spec, "clusterIPs")[0];
  return spec["type"] === "ExternalName" || first === "None";
}

function decodeType(spec: JsonObject, problems: Problems): Service["type"] | undefined {
  if (!isGiven(spec, "type")) return "ClusterIP";
  const type = TYPES.find((each) => each === spec["type"]);
  if (type === undefined) {
    problems.add("spec.type", { why: "not a type of Service", value: spec["type"] });
  }
  return type;
}

/** The first of each family. `clusterIP` stands for a list of one where only it is given. */
function decodeClusterIps(spec: JsonObject, problems: Problems): readonly IpAddress[] {
  const ips = listAt(spec, "clusterIPs").length > 0
    ? decodeIps(spec, "clusterIPs", problems)
    : [parseIpAt(spec["clusterIP"], { path: "spec.clusterIP", problems })];
  const usable = ips.filter((ip) => ip !== undefined);
  return usable.filter((ip) => ip === usable.find((each) => familyOf(each) === familyOf(ip)))
    .slice(0, IP_FAMILIES.length);
}

function decodeIps(spec: JsonObject, name: string, problems: Problems): readonly IpAddress[] {
  return listAt(spec, name)
    .map((value, i) => parseIpAt(value, { path: `spec.${name}[${i}]`, problems }))
    .filter((ip) => ip !== undefined);
}

function decodeLoadBalancer(
  json: JsonObject,
  problems: Problems,
): Pick<Service, "loadBalancerIps" | "loadBalancerSourceRanges"> {
  const ranges = listAt(objectAt(json, "spec"), "loadBalancerSourceRanges");
  const cidrs = ranges
    .map((value, i) =>
      parseCidrAt(value, { path: `spec.loadBalancerSourceRanges[${i}]`, problems })
    )
    .filter((cidr) => cidr !== undefined);
  const ips = decodeIngress(json, problems);
  return {
    loadBalancerIps: cidrs.length === ranges.length ? ips : guardedIps(ips, cidrs),
    loadBalancerSourceRanges: cidrs,
  };
}

/**
 * No ranges mean "no restriction". So a range that cannot be read must not open a load balancer
 * whose only restriction it may have been.
 */
function guardedIps(ips: readonly IpAddress[], ranges: readonly Cidr[]): readonly IpAddress[] {
  return ips.filter((ip) => ranges.some((range) => familyOfCidr(range) === familyOf(ip)));
}

/** Entries with an address that packets still carry when they get here (SVC-06). */
function decodeIngress(json: JsonObject, problems: Problems): readonly IpAddress[] {
  const ingress = listAt(objectAt(objectAt(json, "status"), "loadBalancer"), "ingress");
  const ips = ingress.map((value, i) => {
    const entry = parseObject(value);
    const isVip = !isGiven(entry, "ipMode") || entry["ipMode"] === "VIP";
    if (!isVip || !isGiven(entry, "ip")) return undefined;
    return parseIpAt(entry["ip"], { path: `status.loadBalancer.ingress[${i}].ip`, problems });
  });
  return distinct(ips.filter((ip) => ip !== undefined));
}

function decodePorts(spec: JsonObject, problems: Problems): readonly ServicePortSpec[] {
  const seen = new Set<string>();
  return listAt(spec, "ports").flatMap((value, i) => {
    const path = `spec.ports[${i}]`;
    const port = decodePort(parseObject(value), { path, problems });
    if (port === undefined) return [];
    const key = `${port.protocol} ${port.name}`;
    if (seen.has(key)) {
      problems.add(path, { why: "a port of this name was there already", value: port.name });
    }
    return seen.has(key) ? [] : (seen.add(key), [port]);
  });
}

function decodePort(
  json: JsonObject,
  { path, problems }: { path: string; problems: Problems },
): ServicePortSpec | undefined {
  const protocol = parseProtocolAt(json["protocol"], { path: `${path}.protocol`, problems });
  const port = parsePortAt(json["port"], { path: `${path}.port`, problems });
  const nodePort = decodeOptionalPort(json, {
    name: "nodePort",
    path: `${path}.nodePort`,
    problems,
  });
  if (protocol === undefined || port === undefined) return undefined;
  return { name: textAt(json, "name"), protocol, port, nodePort };
}

function decodeOptionalPort(
  json: JsonObject,
  { name, path, problems }: { name: string; path: string; problems: Problems },
): number {
  if (!isGiven(json, name)) return 0;
  return parseIntegerAt(json[name], { path, problems, min: 0, max: 65535 }) ?? 0;
}

function decodeAffinity(spec: JsonObject, problems: Problems): number {
  if (textAt(spec, "sessionAffinity") !== "ClientIP") return 0;
  const clientIp = objectAt(objectAt(spec, "sessionAffinityConfig"), "clientIP");
  if (!isGiven(clientIp, "timeoutSeconds")) return DEFAULT_AFFINITY_SECONDS;
  return parseIntegerAt(clientIp["timeoutSeconds"], {
    path: "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
    problems,
    min: 1,
    max: MAX_AFFINITY_SECONDS,
  }) ?? DEFAULT_AFFINITY_SECONDS;
}

function decodePolicy(spec: JsonObject, name: string): TrafficPolicy {
  return textAt(spec, name) === "Local" ? "Local" : "Cluster";
}

function distinct<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
