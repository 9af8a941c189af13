/**
 * An EndpointSlice as the API or a manifest writes it, e.g.
 *
 *     addressType: IPv4
 *     ports: [{name: http, port: 8080}]
 *     endpoints: [{addresses: [10.180.0.1], conditions: {ready: true}, nodeName: node1}]
 *
 * @module
 */

import { familyOf, IP_FAMILIES, type IpFamily } from "../model/ip.ts";
import type { EndpointSlice, SliceEndpoint, SlicePort } from "../model/objects.ts";
import {
  isGiven,
  type JsonObject,
  listAt,
  objectAt,
  parseList,
  parseObject,
  textAt,
} from "./json.ts";
import type { Meta } from "./meta.ts";
import type { Problems } from "./problems.ts";
import { parseIpAt, parsePortAt, parseProtocolAt } from "./values.ts";

const SERVICE_NAME = "kubernetes.io/service-name";
const TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time";

/** Most endpoints have no hints: one list for all of them. */
const NONE: readonly string[] = Object.freeze([]);

/** Undefined when it cannot be used; then `problems` say why. */
export function decodeSlice(
  json: JsonObject,
  { meta, problems }: { meta: Meta; problems: Problems },
): EndpointSlice | undefined {
  const serviceName = textAt(meta.labels, SERVICE_NAME);
  if (serviceName === "") problems.add(`metadata.labels[${SERVICE_NAME}]`, { why: "missing" });
  const family = IP_FAMILIES.find((each) => each === json["addressType"]);
  if (family === undefined) {
    problems.add("addressType", {
      why: "neither IPv4 nor IPv6",
      value: json["addressType"] ?? null,
    });
  }
  if (serviceName === "" || family === undefined) return undefined;
  return {
    namespace: meta.namespace,
    name: meta.name,
    serviceName,
    family,
    ports: decodePorts(json, problems),
    endpoints: listAt(json, "endpoints")
      .map((value, i) =>
        decodeEndpoint(parseObject(value), { path: `endpoints[${i}]`, family, problems })
      )
      .filter((endpoint) => endpoint !== undefined),
    triggerTimeMs: Math.max(0, Date.parse(textAt(meta.annotations, TRIGGER_TIME)) || 0),
  };
}

/** A port without a number means "all ports" and cannot be programmed (EP-03). */
function decodePorts(json: JsonObject, problems: Problems): readonly SlicePort[] {
  return listAt(json, "ports").flatMap((value, i) => {
    const entry = parseObject(value);
    const path = `ports[${i}]`;
    const protocol = parseProtocolAt(entry["protocol"], { path: `${path}.protocol`, problems });
    const port = parsePortAt(entry["port"], { path: `${path}.port`, problems });
    if (protocol === undefined || port === undefined) return [];
    return [{ name: textAt(entry, "name"), protocol, port }];
  });
}

/** Missing conditions mean ready, serving and not terminating (EP-04). */
function decodeEndpoint(
  json: JsonObject,
  { path, family, problems }: { path: string; family: IpFamily; problems: Problems },
): SliceEndpoint | undefined {
  const ip = parseIpAt(parseList(json["addresses"])[0], { path: `${path}.addresses[0]`, problems });
  if (ip === undefined) return undefined;
  if (familyOf(ip) !== family) {
    problems.add(`${path}.addresses[0]`, { why: `not ${family}`, value: ip });
    return undefined;
  }
  const conditions = objectAt(json, "conditions");
  const hints = objectAt(json, "hints");
  return {
    ip,
    nodeName: textAt(json, "nodeName"),
    ready: conditions["ready"] !== false,
    serving: conditions["serving"] !== false,
    terminating: conditions["terminating"] === true,
    zoneHints: decodeHints(hints, "forZones"),
    nodeHints: decodeHints(hints, "forNodes"),
  };
}

function decodeHints(hints: JsonObject, name: string): readonly string[] {
  if (!isGiven(hints, name)) return NONE;
  const names = listAt(hints, name).map((hint) => textAt(parseObject(hint), "name"));
  return names.filter((each) => each !== "");
}
