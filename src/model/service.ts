/**
 * Service -> ServicePort[] for one IP family: which addresses and ports it answers on, and which
 * of its wishes count. Answers to pkg/proxy/serviceport.go of kube-proxy 1.36 (SVC-01 to SVC-09).
 *
 * @module
 */

import { familyOf, familyOfCidr } from "./ip.ts";
import type { Cidr, IpAddress, IpFamily } from "./ip.ts";
import type { NamespacedName, Service, ServicePortSpec } from "./objects.ts";
import type { ServicePort, ServicePortName } from "./plan.ts";

/** What decides, besides the Service, how its ports look. */
export interface ServicePortOptions {
  readonly family: IpFamily;
  /** Feature gate AllowServiceExternalIPs. */
  readonly allowExternalIps: boolean;
}

/** `namespace/name` of an object. */
export function namespacedName(object: { namespace: string; name: string }): NamespacedName {
  return `${object.namespace}/${object.name}`;
}

/** The name of one port of a Service. */
export function servicePortName(
  service: { readonly namespace: string; readonly name: string },
  port: Pick<ServicePortSpec, "name" | "protocol">,
): ServicePortName {
  const { namespace, name } = service;
  const key = namespacedName(service);
  const text = port.name === "" ? key : `${key}:${port.name}`;
  return {
    namespace,
    name,
    port: port.name,
    protocol: port.protocol,
    service: key,
    text,
    key: `${text}/${port.protocol}`,
  };
}

/** The ports of a Service in one family; empty when it has no ClusterIP of that family. */
export function servicePorts(
  service: Service,
  options: ServicePortOptions,
): readonly ServicePort[] {
  const { family } = options;
  const clusterIp = service.clusterIps.find((ip) => familyOf(ip) === family);
  if (clusterIp === undefined) return [];
  const ownExternalIps = ofFamily(service.externalIps, family);
  const loadBalancerVips = ofFamily(service.loadBalancerIps, family);
  const shared = {
    clusterIp,
    externalIps: options.allowExternalIps ? ownExternalIps : [],
    loadBalancerVips,
    loadBalancerSourceRanges: sourceRanges(service, family),
    affinitySeconds: service.affinitySeconds,
    healthCheckNodePort: needsHealthCheck(service) ? service.healthCheckNodePort : 0,
  };
  return service.ports.map((port) => ({
    ...shared,
    name: servicePortName(service, port),
    port: port.port,
    nodePort: port.nodePort,
    // External IPs count even while the gate switches them off, as in kube-proxy (SVC-09).
    externallyAccessible: port.nodePort !== 0 || loadBalancerVips.length > 0 ||
      ownExternalIps.length > 0,
  }));
}

/** Whether a load balancer should ask this node for local endpoints (SVC-08). */
export function needsHealthCheck(service: Service): boolean {
  return service.type === "LoadBalancer" && service.externalTrafficPolicy === "Local";
}

/** The ranges that restrict load-balancer traffic of one family; empty: unrestricted (SVC-07). */
export function sourceRanges(service: Service, family: IpFamily): readonly Cidr[] {
  const ranges = service.loadBalancerSourceRanges.filter((cidr) => familyOfCidr(cidr) === family);
  return ranges.some((cidr) => cidr.prefixLength === 0) ? [] : ranges;
}

function ofFamily(ips: readonly IpAddress[], family: IpFamily): readonly IpAddress[] {
  return [...new Set(ips.filter((ip) => familyOf(ip) === family))];
}
