/**
 * The rules of a Service in chains it shares with all others: which packets are meant for it, and
 * what happens to them when nobody can answer. Answers to syncProxyRules() of kube-proxy 1.36,
 * FACTS IPT-08 and IPT-10 to IPT-20.
 *
 * @module
 */

import { commentMatch } from "../../kernel/iptables/quote.ts";
import { formatRule, portMatch } from "../../kernel/iptables/rule.ts";
import type { Rule } from "../../kernel/iptables/ruleset.ts";
import { bitsOf, type IpAddress, type IpFamily } from "../../model/ip.ts";
import type { ServicePlan, ServicePort, Verdict } from "../../model/plan.ts";
import { type ServiceChainNames, serviceChainNames } from "./names.ts";
import type { RuleTable, ServiceRules } from "./ruleset.ts";

/** Chains that all Services share, by table, in the order in which kube-proxy declares them. */
export const PORTAL_CHAINS: Readonly<Record<RuleTable, readonly string[]>> = {
  filter: ["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL"],
  nat: ["KUBE-SERVICES", "KUBE-NODEPORTS"],
};

/** The counter of node port traffic to loopback addresses. */
export const LOCALHOST_COUNTER = "localhost_nps_accepted_pkts";

/** A rule in a shared chain. */
export interface Portal {
  readonly table: RuleTable;
  readonly chain: string;
  readonly rule: Rule;
}

/** The rules of one ServicePort in shared chains, in order within each chain. */
export function renderPortals(service: ServiceRules): readonly Portal[] {
  const context: Context = {
    service,
    plan: service.plan,
    port: service.plan.servicePort,
    names: serviceChainNames(service.plan.servicePort.name),
    isServed: isServed(service.plan),
  };
  return [
    ...clusterIpPortals(context),
    ...externalIpPortals(context),
    ...loadBalancerPortals(context),
    ...nodePortPortals(context),
    ...healthCheckPortals(context),
  ];
}

/** Whether anybody, here or elsewhere, serves it. Only then it has chains. */
export function isServed(plan: ServicePlan): boolean {
  return plan.internal.kind !== "reject";
}

/** Whether traffic to load-balancer VIPs is filtered by source. */
export function hasFirewall(plan: ServicePlan): boolean {
  const { loadBalancerVips, loadBalancerSourceRanges } = plan.servicePort;
  return isServed(plan) && loadBalancerVips.length > 0 && loadBalancerSourceRanges.length > 0;
}

/** `address/32` or `address/128`, as a rule says one address. */
export function hostNetwork(ip: IpAddress, family: IpFamily): string {
  return `${ip}/${bitsOf(family)}`;
}

interface Context {
  readonly service: ServiceRules;
  readonly plan: ServicePlan;
  readonly port: ServicePort;
  readonly names: ServiceChainNames;
  readonly isServed: boolean;
}

function clusterIpPortals(context: Context): readonly Portal[] {
  const { plan, port, names } = context;
  const to = { ip: port.clusterIp, chain: "KUBE-SERVICES" };
  if (plan.internal.kind !== "forward") {
    return [refusal(context, { ...to, verdict: plan.internal })];
  }
  const target = names.policy[plan.internal.scope];
  return [capture(context, { ...to, what: "cluster IP", target })];
}

function externalIpPortals(context: Context): readonly Portal[] {
  const { plan, port, names } = context;
  const portals: Portal[] = [];
  for (const ip of port.externalIps) {
    if (context.isServed) {
      const to = { ip, chain: "KUBE-SERVICES" };
      portals.push(capture(context, { ...to, what: "external IP", target: names.external }));
    }
    if (plan.external.kind !== "forward") portals.push(externalRefusal(context, ip));
  }
  return portals;
}

function loadBalancerPortals(context: Context): readonly Portal[] {
  const { plan, port, names } = context;
  const isFiltered = hasFirewall(plan);
  const target = isFiltered ? names.firewall : names.external;
  const portals: Portal[] = [];
  for (const ip of port.loadBalancerVips) {
    const to = { ip, chain: "KUBE-SERVICES" };
    if (context.isServed) {
      portals.push(capture(context, { ...to, what: "loadbalancer IP", target }));
    }
    if (isFiltered) {
      // What the firewall chain let through has got another destination by now.
      const remark = `traffic not accepted by ${names.firewall}`;
      const rule = addressRule(context, { ip, remark, target: "DROP" });
      portals.push({ table: "filter", chain: "KUBE-PROXY-FIREWALL", rule });
    }
    if (plan.external.kind !== "forward") portals.push(externalRefusal(context, ip));
  }
  return portals;
}

function nodePortPortals(context: Context): readonly Portal[] {
  const { plan, port, names, service } = context;
  if (port.nodePort === 0) return [];
  const protocol = port.name.protocol.toLowerCase();
  const portals: Portal[] = [];
  const chain = "KUBE-NODEPORTS";
  const comment = commentMatch(port.name.text);
  const matches = [comment, portMatch(protocol, port.nodePort)];
  const target = names.external;
  if (context.isServed && service.style.countsLocalhostNodePorts) {
    const rule = formatRule({
      destination: "127.0.0.0/8",
      protocol,
      matches: [...matches, `-m nfacct --nfacct-name ${LOCALHOST_COUNTER}`],
      target,
    });
    portals.push({ table: "nat", chain, rule });
  }
  if (context.isServed) {
    portals.push({ table: "nat", chain, rule: formatRule({ protocol, matches, target }) });
  }
  if (plan.external.kind !== "forward") {
    const rule = formatRule({
      protocol,
      matches: [
        commentMatch(`${port.name.text} ${REFUSALS[plan.external.kind].remark}`),
        "-m addrtype --dst-type LOCAL",
        portMatch(protocol, port.nodePort),
      ],
      target: refusalTarget(context, plan.external.kind),
    });
    portals.push({ table: "filter", chain: "KUBE-EXTERNAL-SERVICES", rule });
  }
  return portals;
}

function healthCheckPortals({ port }: Context): readonly Portal[] {
  if (port.healthCheckNodePort === 0) return [];
  const comment = commentMatch(`${port.name.text} health check node port`);
  const rule = formatRule({
    protocol: "tcp",
    matches: [comment, portMatch("tcp", port.healthCheckNodePort)],
    target: "ACCEPT",
  });
  return [{ table: "filter", chain: "KUBE-NODEPORTS", rule }];
}

/** Sends what is meant for one address of the Service to a chain of the Service. */
function capture(
  context: Context,
  { ip, chain, what, target }: { ip: IpAddress; chain: string; what: string; target: string },
): Portal {
  return { table: "nat", chain, rule: addressRule(context, { ip, remark: what, target }) };
}

const REFUSALS = {
  reject: { remark: "has no endpoints" },
  drop: { remark: "has no local endpoints" },
} as const;

function refusal(
  context: Context,
  { ip, chain, verdict }: { ip: IpAddress; chain: string; verdict: Verdict },
): Portal {
  const kind = verdict.kind === "reject" ? "reject" : "drop";
  const { remark } = REFUSALS[kind];
  const target = refusalTarget(context, kind);
  return { table: "filter", chain, rule: addressRule(context, { ip, remark, target }) };
}

function externalRefusal(context: Context, ip: IpAddress): Portal {
  return refusal(context, { ip, chain: "KUBE-EXTERNAL-SERVICES", verdict: context.plan.external });
}

/** REJECT is printed with the answer that the kernel chose. */
function refusalTarget({ service }: Context, kind: "reject" | "drop"): string {
  if (kind === "drop") return "DROP";
  const icmp = service.style.family === "IPv4" ? "icmp" : "icmp6";
  return `REJECT --reject-with ${icmp}-port-unreachable`;
}

function addressRule(
  { port, service }: Context,
  { ip, remark, target }: { ip: IpAddress; remark: string; target: string },
): Rule {
  const protocol = port.name.protocol.toLowerCase();
  return formatRule({
    destination: hostNetwork(ip, service.style.family),
    protocol,
    matches: [commentMatch(`${port.name.text} ${remark}`), portMatch(protocol, port.port)],
    target,
  });
}
