/**
 * Plan -> what it says about health: how many local endpoints load balancers may be told of
 * (HZ-06), and how many ServicePorts drop traffic because none is here (MET-02). Numbers only;
 * serving them is for src/server.
 *
 * @module
 */

import type { IpAddress, IpFamily } from "./ip.ts";
import type { NamespacedName } from "./objects.ts";
import type { Plan, Verdict } from "./plan.ts";

/** The health check of one Service in one family. */
export interface ServiceHealthCheck {
  readonly service: NamespacedName;
  readonly namespace: string;
  readonly name: string;
  readonly family: IpFamily;
  /** The healthCheckNodePort. */
  readonly port: number;
  /** Distinct addresses of ready endpoints on this node, over all ports of the Service. */
  readonly localEndpoints: number;
}

/** ServicePorts that drop because of policy Local, by the traffic that is dropped. */
export interface NoLocalEndpoints {
  readonly internal: number;
  readonly external: number;
}

/** The health checks that a plan asks for. */
export function serviceHealthChecks(
  plan: Plan,
): ReadonlyMap<NamespacedName, ServiceHealthCheck> {
  const checks = new Map<NamespacedName, ServiceHealthCheck>();
  const localIps = new Map<NamespacedName, Set<IpAddress>>();
  for (const { servicePort, endpoints } of plan.services.values()) {
    const { name, healthCheckNodePort: port } = servicePort;
    if (port === 0) continue;
    const ips = localIps.get(name.service) ?? new Set();
    for (const endpoint of endpoints) {
      if (endpoint.ready && endpoint.isLocal) ips.add(endpoint.ip);
    }
    localIps.set(name.service, ips);
    checks.set(name.service, {
      service: name.service,
      namespace: name.namespace,
      name: name.name,
      family: plan.family,
      port,
      localEndpoints: ips.size,
    });
  }
  return checks;
}

/** The numbers of sync_proxy_rules_no_local_endpoints_total. */
export function noLocalEndpoints(plan: Plan): NoLocalEndpoints {
  let [internal, external] = [0, 0];
  for (const servicePlan of plan.services.values()) {
    if (isDroppedLocally(servicePlan.internal)) internal++;
    if (isDroppedLocally(servicePlan.external)) external++;
  }
  return { internal, external };
}

function isDroppedLocally(verdict: Verdict): boolean {
  return verdict.kind === "drop" && verdict.scope === "local";
}
