/**
 * What nftables should hold, in two levels: what is always there, and one part per ServicePort.
 * Unchanged plans make unchanged parts, so a sync only looks at the parts that changed.
 *
 * @module
 */

import type { Chain, Container, Element } from "../../kernel/nft/values.ts";

/** An element and the set or map it lives in. */
export interface Placed {
  readonly set: Container;
  readonly element: Element;
}

/** The chains, sets and elements that exist for one reason: a ServicePort, or the proxy itself. */
export interface Part {
  readonly chains: readonly Chain[];
  readonly sets: readonly Container[];
  readonly elements: readonly Placed[];
}

/** Nothing. */
export const NO_PART: Part = { chains: [], sets: [], elements: [] };
