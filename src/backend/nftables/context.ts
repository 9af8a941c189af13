/**
 * What rules depend on besides their ServicePort: the node and the configuration. The context is the
 * same object as long as nothing in it changed.
 *
 * @module
 */

import type { NftablesConfig } from "../../config/types.ts";
import type { NftFamily, Statement } from "../../kernel/nft/values.ts";
import { type Cidr, familyOfCidr } from "../../model/ip.ts";
import type { LocalTraffic, NodeFacts, Plan } from "../../model/plan.ts";
import { CONTAINERS, type Containers } from "./containers.ts";

/** The surroundings of a service. */
export interface Context {
  readonly family: NftFamily;
  readonly containers: Containers;
  readonly node: NodeFacts;
  readonly serviceCidrs: readonly Cidr[];
  readonly masqueradeAll: boolean;
  readonly masqueradeMark: number;
}

/** The context of a plan: the previous one, if it still holds. */
export function contextOf(
  plan: Plan,
  { config, previous }: { readonly config: NftablesConfig; readonly previous: Context | undefined },
): Context {
  if (previous?.node === plan.node && previous.serviceCidrs === plan.serviceCidrs) return previous;
  const family = plan.family === "IPv4" ? "ip" : "ip6";
  return {
    family,
    containers: CONTAINERS[family],
    node: plan.node,
    serviceCidrs: plan.serviceCidrs,
    masqueradeAll: config.masqueradeAll,
    masqueradeMark: 2 ** config.masqueradeBit,
  };
}

/** Whether the rules of services depend on the difference between the two. */
export function hasSameServiceRules(a: Context, b: Context): boolean {
  if (a.node === b.node) return a.masqueradeMark === b.masqueradeMark;
  return a.node.ip === b.node.ip && a.masqueradeMark === b.masqueradeMark &&
    JSON.stringify(a.node.localTraffic) === JSON.stringify(b.node.localTraffic);
}

/** The match of traffic of pods of this node; undefined when it cannot be told. */
export function localTraffic(
  traffic: LocalTraffic,
  { family, not }: { readonly family: NftFamily; readonly not?: true },
): Statement | undefined {
  const negation = not && { not };
  switch (traffic.kind) {
    case "none":
      return undefined;
    case "source": {
      const isOther = (familyOfCidr(traffic.cidr) === "IPv4") !== (family === "ip");
      if (isOther) return undefined;
      return { kind: "address", side: "saddr", ...negation, of: [traffic.cidr] };
    }
    case "bridge":
      return { kind: "iifname", ...negation, name: traffic.interfaceName };
    case "prefix":
      return { kind: "iifname", ...negation, ...interfacesNamed(traffic.interfacePrefix) };
  }
}

/** IFNAMSIZ, without the NUL. */
const MAX_INTERFACE_BYTES = 15;

/** No name is longer than a prefix of 15 bytes, and nft has no room for a `*` behind it. */
function interfacesNamed(prefix: string): { readonly name: string; readonly prefix?: true } {
  const isWhole = new TextEncoder().encode(prefix).length >= MAX_INTERFACE_BYTES;
  return isWhole ? { name: prefix } : { name: prefix, prefix: true };
}
