/**
 * Traffic policies -> verdicts. Asked once here, so that no backend looks at a policy. Answers to
 * the head of the service loop that kube-proxy 1.36 has in every mode, and to SVC-10.
 *
 * @module
 */

import type { Service } from "./objects.ts";
import type { Scope, ServicePort, Verdict } from "./plan.ts";
import type { UsableEndpoints } from "./topology.ts";

/** Which endpoints the policies of a ServicePort ask for. */
export interface Scopes {
  readonly internal: Scope;
  readonly external: Scope;
  readonly usesCluster: boolean;
  readonly usesLocal: boolean;
}

/** The scopes of one port of a Service. */
export function scopesOf(service: Service, servicePort: ServicePort): Scopes {
  const { externallyAccessible } = servicePort;
  const internal = service.internalTrafficPolicy === "Local" ? "local" : "cluster";
  const external = isExternalPolicyLocal(service) ? "local" : "cluster";
  return {
    internal,
    external,
    // With external policy Local too, pods of this node reach every endpoint (TOP-07).
    usesCluster: internal === "cluster" || externallyAccessible,
    usesLocal: internal === "local" || (external === "local" && externallyAccessible),
  };
}

/** What happens to traffic whose policy asks for `scope`. */
export function verdictFor(scope: Scope, usable: UsableEndpoints): Verdict {
  if (usable[scope].length > 0) return VERDICTS[scope].forward;
  return usable.hasAny ? VERDICTS[scope].drop : VERDICTS[scope].reject;
}

/** Six verdicts are all there are: the same verdict is the same object. */
const VERDICTS = { cluster: verdictsOf("cluster"), local: verdictsOf("local") } as const;

function verdictsOf(scope: Scope): Readonly<Record<Verdict["kind"], Verdict>> {
  return {
    forward: { kind: "forward", scope },
    drop: { kind: "drop", scope },
    reject: { kind: "reject", scope },
  };
}

/** The field means nothing on a Service that has no way in from outside. */
function isExternalPolicyLocal(service: Service): boolean {
  return service.externalTrafficPolicy === "Local" &&
    (service.type !== "ClusterIP" || service.externalIps.length > 0);
}
