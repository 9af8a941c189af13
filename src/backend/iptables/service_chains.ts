/**
 * The chains a Service has for itself: KUBE-SVC- and KUBE-SVL- pick an endpoint, KUBE-EXT- takes
 * traffic to external addresses, KUBE-FW- lets in what the source ranges allow. Answers to
 * syncProxyRules() of kube-proxy 1.36, FACTS IPT-09, IPT-13, IPT-14, IPT-17.
 *
 * @module
 */

import { commentMatch } from "../../kernel/iptables/quote.ts";
import { formatRule, portMatch, randomMatch } from "../../kernel/iptables/rule.ts";
import type { Chain, Rule } from "../../kernel/iptables/ruleset.ts";
import { containsIp, formatCidr } from "../../model/ip.ts";
import type { Endpoint, Scope, ServicePlan } from "../../model/plan.ts";
import { endpointChain, recentMatch } from "./endpoint_chains.ts";
import { endpointChainName, type ServiceChainNames, serviceChainNames } from "./names.ts";
import { hasFirewall, hostNetwork, isServed } from "./portals.ts";
import type { ServiceRules } from "./ruleset.ts";
import { MARK_MASQ_CHAIN } from "./statics.ts";
import { foreignOrigin, localOrigin } from "./style.ts";

/** The chains of one ServicePort and of its endpoints in table nat, each after those it needs. */
export function renderServiceChains(service: ServiceRules): readonly Chain[] {
  const { plan } = service;
  if (!isServed(plan)) return [];
  const names = serviceChainNames(plan.servicePort.name);
  const chainByEndpoint = new Map<Endpoint, string>();
  for (const endpoint of plan.reachable) {
    chainByEndpoint.set(endpoint, endpointChainName(plan.servicePort.name, endpoint));
  }
  const context = { service, plan, names, chainByEndpoint };
  const chains: Chain[] = [];
  for (const [endpoint, name] of chainByEndpoint) {
    chains.push(endpointChain(service, { endpoint, name }));
  }
  for (const scope of ["cluster", "local"] as const) {
    if (plan[scope].length > 0) chains.push(policyChain(context, scope));
  }
  if (plan.servicePort.externallyAccessible) chains.push(externalChain(context));
  if (hasFirewall(plan)) chains.push(firewallChain(context));
  return chains;
}

interface Context {
  readonly service: ServiceRules;
  readonly plan: ServicePlan;
  readonly names: ServiceChainNames;
  readonly chainByEndpoint: ReadonlyMap<Endpoint, string>;
}

function policyChain(context: Context, scope: Scope): Chain {
  const { plan, names } = context;
  const takesInternal = plan.internal.kind === "forward" && plan.internal.scope === scope;
  return {
    name: names.policy[scope],
    rules: [
      ...takesInternal ? masqueradeRules(context) : [],
      ...affinityRules(context, plan[scope]),
      ...spreadRules(context, plan[scope]),
    ],
  };
}

/** Traffic to the ClusterIP that does not come from a pod here would not find its way back. */
function masqueradeRules({ service, plan }: Context): readonly Rule[] {
  const { style } = service;
  const origin = style.masqueradeAll ? {} : foreignOrigin(style.localTraffic);
  if (origin === undefined) return [];
  const { name, clusterIp, port } = plan.servicePort;
  const protocol = name.protocol.toLowerCase();
  return [formatRule({
    ...origin,
    destination: hostNetwork(clusterIp, style.family),
    protocol,
    matches: [commentMatch(`${name.text} cluster IP`), portMatch(protocol, port)],
    target: MARK_MASQ_CHAIN,
  })];
}

/** A client that was here lately goes to the same endpoint again. */
function affinityRules(context: Context, endpoints: readonly Endpoint[]): readonly Rule[] {
  const { service, plan, chainByEndpoint } = context;
  const seconds = plan.servicePort.affinitySeconds;
  if (seconds === 0) return [];
  return endpoints.map((endpoint) => {
    const target = chainByEndpoint.get(endpoint) ?? "";
    const recent = recentMatch(`--rcheck --seconds ${seconds} --reap`, {
      list: target,
      family: service.style.family,
    });
    return formatRule({ matches: [...endpointRemark(context, endpoint), recent], target });
  });
}

/** Each rule takes its share of what those before it left over; the last takes all. */
function spreadRules(context: Context, endpoints: readonly Endpoint[]): readonly Rule[] {
  return endpoints.map((endpoint, i) => {
    const left = endpoints.length - i;
    const remark = endpointRemark(context, endpoint);
    const matches = left > 1 ? [...remark, randomMatch(left)] : remark;
    return formatRule({ matches, target: context.chainByEndpoint.get(endpoint) ?? "" });
  });
}

function endpointRemark({ service, plan }: Context, endpoint: Endpoint): readonly string[] {
  if (!service.remarks) return [];
  return [commentMatch(`${plan.servicePort.name.text} -> ${endpoint.text}`)];
}

/**
 * Policy Cluster may leave the node, so it masquerades. Policy Local keeps the client's address,
 * but pods and processes of this node reach all endpoints (IPT-31).
 */
function externalChain(context: Context): Chain {
  const { plan, names, service } = context;
  const about = `for ${plan.servicePort.name.text} external destinations`;
  const rules: Rule[] = [];
  if (plan.external.scope === "cluster") {
    const matches = [commentMatch(`masquerade traffic ${about}`)];
    rules.push(formatRule({ matches, target: MARK_MASQ_CHAIN }));
  } else if (plan.cluster.length > 0) {
    const fromHere = "-m addrtype --src-type LOCAL";
    const pods = localOrigin(service.style.localTraffic);
    if (pods !== undefined) {
      const matches = [commentMatch(`pod traffic ${about}`)];
      rules.push(formatRule({ ...pods, matches, target: names.policy.cluster }));
    }
    const masquerade = [commentMatch(`masquerade LOCAL traffic ${about}`), fromHere];
    rules.push(formatRule({ matches: masquerade, target: MARK_MASQ_CHAIN }));
    const route = [commentMatch(`route LOCAL traffic ${about}`), fromHere];
    rules.push(formatRule({ matches: route, target: names.policy.cluster }));
  }
  if (plan.external.kind === "forward") {
    rules.push(formatRule({ target: names.policy[plan.external.scope] }));
  }
  return { name: names.external, rules };
}

function firewallChain({ plan, names, service }: Context): Chain {
  const { name, loadBalancerSourceRanges: ranges, loadBalancerVips } = plan.servicePort;
  const sources = ranges.map(formatCidr);
  // A packet from this node to the VIP may have the VIP as its source.
  if (ranges.some((range) => containsIp(range, service.style.nodeIp))) {
    sources.push(...loadBalancerVips.map((ip) => hostNetwork(ip, service.style.family)));
  }
  const matches = [commentMatch(`${name.text} loadbalancer IP`)];
  const others = `other traffic to ${name.text} will be dropped by KUBE-PROXY-FIREWALL`;
  return {
    name: names.firewall,
    rules: [
      ...sources.map((source) => formatRule({ source, matches, target: names.external })),
      formatRule({ matches: [commentMatch(others)] }),
    ],
  };
}
