/**
 * What the kernel says a table holds now, as far as a proxy must know it.
 *
 * @module
 */

import type { BaseHook, Container, Element } from "./values.ts";

/** A chain as found. */
export interface ObservedChain {
  readonly base?: BaseHook;
  /**
   * One fingerprint per rule. Only good for comparing with {@linkcode Nft.fingerprints} of the same
   * handle: equal fingerprints, equal rules.
   */
  readonly rules: readonly string[];
}

/** A set or map as found. */
export interface ObservedSet {
  readonly kind: Container["kind"];
  readonly type: readonly string[];
  readonly timeoutSeconds?: number;
  /** What no set or map of ours has, in words: a size, intervals, counters, other values. */
  readonly oddity?: string;
  /** By {@linkcode elementKey}; empty for sets that rules fill. */
  readonly elements: ReadonlyMap<string, Element>;
}

/** A table as found. */
export interface ObservedTable {
  /** undefined when there is none, or when the tool does not tell. */
  readonly comment?: string;
  /** None of its chains is asked (`flags dormant`). */
  readonly isDormant?: true;
  readonly chains: ReadonlyMap<string, ObservedChain>;
  readonly sets: ReadonlyMap<string, ObservedSet>;
}
