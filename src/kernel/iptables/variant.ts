/**
 * Which of the two kinds of iptables a node uses, where both are installed under names of their own
 * and none is called `iptables`: as in a container image. The kubelet leaves a chain for those who
 * ask (KEP-3178); where there is none, the rules that exist decide. The same order as in
 * kube-proxy's image.
 *
 * @module
 */

/** The kinds, as in `iptables-nft` and `iptables-legacy`. */
export type ToolVariant = "nft" | "legacy";

/** What is kept by one kind, both families together. */
export interface Holdings {
  /** The kubelet has chains of its own there. */
  readonly isHinted: boolean;
  /** Rules of anybody. */
  readonly rules: number;
}

/** What was found. Undefined: the tools are missing, or the kernel does not answer them. */
export type Findings = Readonly<Record<ToolVariant, Holdings | undefined>>;

/** A decision and what it rests on. */
export interface VariantChoice {
  readonly variant: ToolVariant;
  readonly reason: string;
}

const HINT = /^:KUBE-(?:IPTABLES-HINT|KUBELET-CANARY) /m;
const RULE = /^-/gm;

/** Reads what iptables-save printed; families may stand one after the other. */
export function parseHoldings(text: string): Holdings {
  return { isHinted: HINT.test(text), rules: text.match(RULE)?.length ?? 0 };
}

/** Undefined when neither can be used. */
export function chooseVariant({ nft, legacy }: Findings): VariantChoice | undefined {
  if (nft?.isHinted) return { variant: "nft", reason: "the kubelet uses it" };
  if (legacy?.isHinted) return { variant: "legacy", reason: "the kubelet uses it" };
  if (nft === undefined && legacy === undefined) return undefined;
  if (legacy === undefined) return { variant: "nft", reason: "the other one cannot be used" };
  if (nft === undefined) return { variant: "legacy", reason: "the other one cannot be used" };
  if (nft.rules === legacy.rules) return { variant: "nft", reason: "both have as many rules" };
  return { variant: nft.rules > legacy.rules ? "nft" : "legacy", reason: "it has more rules" };
}
