/**
 * A Node and a ServiceCIDR as the API or a manifest writes them.
 *
 * @module
 */

import type { Cidr } from "../model/ip.ts";
import type { NodeObject, ServiceCidr } from "../model/objects.ts";
import { isGiven, type JsonObject, listAt, objectAt, parseObject, textAt } from "./json.ts";
import type { Meta } from "./meta.ts";
import type { Problems } from "./problems.ts";
import { parseCidrAt, parseIpAt } from "./values.ts";

/** The order in which addresses of a node are preferred (NODE-02). */
const ADDRESS_TYPES = ["InternalIP", "ExternalIP"];

/** The Node of this host. */
export function decodeNode(
  json: JsonObject,
  { meta, problems }: { meta: Meta; problems: Problems },
): NodeObject {
  const spec = objectAt(json, "spec");
  return {
    name: meta.name,
    addresses: decodeAddresses(json, problems),
    podCidrs: listAt(spec, "podCIDRs").length > 0
      ? decodeCidrs(spec, { name: "podCIDRs", problems })
      : decodePodCidr(spec, problems),
    zone: textAt(meta.labels, "topology.kubernetes.io/zone"),
    deleting: isGiven(objectAt(json, "metadata"), "deletionTimestamp"),
    taints: listAt(spec, "taints").map((taint) => textAt(parseObject(taint), "key"))
      .filter((key) => key !== ""),
  };
}

/** A range that ClusterIPs are allocated from; undefined when it names none. */
export function decodeServiceCidr(
  json: JsonObject,
  { meta, problems }: { meta: Meta; problems: Problems },
): ServiceCidr | undefined {
  const cidrs = decodeCidrs(objectAt(json, "spec"), { name: "cidrs", problems });
  if (cidrs.length > 0) return { name: meta.name, cidrs };
  if (problems.count === 0) problems.add("spec.cidrs", { why: "empty" });
  return undefined;
}

function decodeAddresses(json: JsonObject, problems: Problems): NodeObject["addresses"] {
  const addresses = listAt(objectAt(json, "status"), "addresses")
    .map((value, i) => ({ entry: parseObject(value), path: `status.addresses[${i}].address` }));
  return ADDRESS_TYPES.flatMap((type) =>
    addresses
      .filter(({ entry }) => entry["type"] === type)
      .map(({ entry, path }) => parseIpAt(entry["address"], { path, problems }))
      .filter((ip) => ip !== undefined)
  );
}

function decodeCidrs(
  json: JsonObject,
  { name, problems }: { name: string; problems: Problems },
): readonly Cidr[] {
  return listAt(json, name)
    .map((value, i) => parseCidrAt(value, { path: `spec.${name}[${i}]`, problems }))
    .filter((cidr) => cidr !== undefined);
}

function decodePodCidr(spec: JsonObject, problems: Problems): readonly Cidr[] {
  if (!isGiven(spec, "podCIDR")) return [];
  const cidr = parseCidrAt(spec["podCIDR"], { path: "spec.podCIDR", problems });
  return cidr === undefined ? [] : [cidr];
}
