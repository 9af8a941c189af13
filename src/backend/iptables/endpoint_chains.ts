/**
 * KUBE-SEP- chains: the last step of a packet, where its destination becomes an endpoint.
 * FACTS IPT-18, IPT-19.
 *
 * @module
 */

import { commentMatch } from "../../kernel/iptables/quote.ts";
import { formatRule } from "../../kernel/iptables/rule.ts";
import type { Chain } from "../../kernel/iptables/ruleset.ts";
import type { IpFamily } from "../../model/ip.ts";
import type { Endpoint } from "../../model/plan.ts";
import { hostNetwork } from "./portals.ts";
import type { ServiceRules } from "./ruleset.ts";
import { MARK_MASQ_CHAIN } from "./statics.ts";

/** The chain of one endpoint. */
export function endpointChain(
  service: ServiceRules,
  { endpoint, name }: { endpoint: Endpoint; name: string },
): Chain {
  const { family } = service.style;
  const { name: portName, affinitySeconds } = service.plan.servicePort;
  const protocol = portName.protocol.toLowerCase();
  const remark = service.remarks ? [commentMatch(portName.text)] : [];
  const remember = affinitySeconds > 0 ? [recentMatch("--set", { list: name, family })] : [];
  return {
    name,
    rules: [
      // A pod that reaches itself through a Service must not see its own address as the client.
      formatRule({
        source: hostNetwork(endpoint.ip, family),
        matches: remark,
        target: MARK_MASQ_CHAIN,
      }),
      formatRule({
        protocol,
        matches: [...remark, ...remember, `-m ${protocol}`],
        target: `DNAT --to-destination ${endpoint.text}`,
      }),
    ],
  };
}

const WHOLE_ADDRESS: Readonly<Record<IpFamily, string>> = {
  IPv4: "255.255.255.255",
  IPv6: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
};

/** A match on a list of recent clients; the kernel prints the mask that it applies by itself. */
export function recentMatch(
  action: string,
  { list, family }: { list: string; family: IpFamily },
): string {
  return `-m recent ${action} --name ${list} --mask ${WHOLE_ADDRESS[family]} --rsource`;
}
