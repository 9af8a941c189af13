/**
 * Rules that keep this node itself out of a load balancer whose source ranges leave it out
 * (IPVS-14). They are the only ones that come with a Service and that a kernel may refuse: they
 * need xt_ipvs. One rule that is refused stops all others of its table.
 *
 * @module
 */

import type { RestoreError } from "../../kernel/iptables/errors.ts";
import { rulesOf, type Tables } from "../../kernel/iptables/ruleset.ts";
import type { RuleWish } from "./wish.ts";

/** The chain they are in. */
const CHAIN = "KUBE-IPVS-OUT-FILTER";

/** The kernel takes all rules but these. */
export class BanRefusedError extends Error {
  override readonly name = "BanRefusedError";

  constructor(options: { cause: RestoreError }) {
    super(
      "Cannot keep this node out of a load balancer whose source ranges leave it out: the kernel " +
        `refuses rules with "-m ipvs", modprobe xt_ipvs (${options.cause.message})`,
      options,
    );
  }
}

/** Whether there are any. */
export function hasBans({ filter }: RuleWish): boolean {
  return filter.some(({ name, rules }) => name === CHAIN && rules.length > 0);
}

/** The wish with the chain as it is. */
export function withoutBans(wish: RuleWish, observed: Tables): RuleWish {
  const rules = rulesOf(observed, { table: "filter", chain: CHAIN });
  const filter = wish.filter.map((chain) => chain.name === CHAIN ? { ...chain, rules } : chain);
  return { ...wish, filter };
}
