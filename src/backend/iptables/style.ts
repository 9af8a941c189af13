/**
 * What the rules of a Service depend on besides its plan: node, configuration and kernel. Replaced
 * only when it really changed, so that rules are compared by reference.
 *
 * @module
 */

import type { IptablesConfig } from "../../config/types.ts";
import type { Operand } from "../../kernel/iptables/rule.ts";
import { type Cidr, containsIp, formatCidr, type IpAddress, parseIp } from "../../model/ip.ts";
import type { LocalTraffic, NodeFacts } from "../../model/plan.ts";
import type { IpFamily } from "../../model/ip.ts";
import type { KubeProxyConfiguration } from "../../config/types.ts";

/** Matches on where a packet comes from. */
export interface OriginMatch {
  readonly source?: Operand;
  readonly inInterface?: Operand;
}

/** How the rules of all Services of one family are written. */
export interface ServiceStyle {
  readonly family: IpFamily;
  readonly masqueradeAll: boolean;
  readonly localTraffic: LocalTraffic;
  readonly nodeIp: IpAddress;
  /** The kernel counts node port traffic to loopback addresses for us (IPT-11). */
  readonly countsLocalhostNodePorts: boolean;
}

/** What the kernel and the tools can do; found out once. */
export interface Capabilities {
  /** MASQUERADE --random-fully. */
  readonly randomFully: boolean;
  /** nfacct objects for INVALID packets and for localhost node ports exist. */
  readonly invalidCounter: boolean;
  readonly localhostCounter: boolean;
  /** nf_conntrack_tcp_be_liberal is off, so INVALID packets may be dropped (IPT-21). */
  readonly dropsInvalid: boolean;
}

/** What stays the same for as long as a backend is open. */
export interface BackendFacts {
  readonly family: IpFamily;
  readonly config: IptablesConfig;
  readonly capabilities: Capabilities;
  /** Node ports answer on 127.0.0.0/8 (IPT-23). */
  readonly localhostNodePorts: boolean;
}

/** The style for this node; `previous` when it says the same. */
export function serviceStyle(
  facts: BackendFacts,
  { node, previous }: { node: NodeFacts; previous: ServiceStyle | undefined },
): ServiceStyle {
  const style: ServiceStyle = {
    family: facts.family,
    masqueradeAll: facts.config.masqueradeAll,
    localTraffic: node.localTraffic,
    nodeIp: node.ip,
    countsLocalhostNodePorts: facts.localhostNodePorts && facts.capabilities.localhostCounter,
  };
  return previous !== undefined && isSame(previous, style) ? previous : style;
}

/**
 * Whether node ports shall answer on loopback addresses: IPv4 only, and only if the configuration
 * does not take 127.0.0.1 out. Addresses of the other family restrict nothing.
 */
export function wantsLocalhostNodePorts(
  family: IpFamily,
  { iptables, nodePortAddresses }: KubeProxyConfiguration,
): boolean {
  if (family !== "IPv4" || !iptables.localhostNodePorts) return false;
  if (nodePortAddresses === "primary") return false;
  const ranges = nodePortAddresses.filter((cidr) => !cidr.address.includes(":"));
  return ranges.length === 0 || ranges.some((cidr) => containsIp(cidr, LOCALHOST) || is127(cidr));
}

/** Matches traffic of pods of this node; undefined when it cannot be told. */
export function localOrigin(local: LocalTraffic): OriginMatch | undefined {
  const operand = originOperand(local);
  if (operand === undefined) return undefined;
  if (local.kind !== "source") return { inInterface: operand };
  // iptables does not print a network that contains everything.
  return local.cidr.prefixLength === 0 ? {} : { source: operand };
}

/** Matches all other traffic; undefined when it cannot be told, or when there is none. */
export function foreignOrigin(local: LocalTraffic): OriginMatch | undefined {
  const operand = originOperand(local);
  if (operand === undefined) return undefined;
  if (local.kind !== "source") return { inInterface: { not: operand } };
  // nf_tables refuses a rule for what lies outside of everything; legacy would never match it.
  return local.cidr.prefixLength === 0 ? undefined : { source: { not: operand } };
}

const LOCALHOST = parseIp("127.0.0.1");

function is127(cidr: Cidr): boolean {
  return cidr.address.startsWith("127.");
}

function originOperand(local: LocalTraffic): string | undefined {
  switch (local.kind) {
    case "none":
      return undefined;
    case "source":
      return formatCidr(local.cidr);
    case "bridge":
      return local.interfaceName;
    case "prefix":
      return `${local.interfacePrefix}+`;
  }
}

function isSame(a: ServiceStyle, b: ServiceStyle): boolean {
  return a.family === b.family && a.masqueradeAll === b.masqueradeAll && a.nodeIp === b.nodeIp &&
    a.countsLocalhostNodePorts === b.countsLocalhostNodePorts &&
    JSON.stringify(a.localTraffic) === JSON.stringify(b.localTraffic);
}
