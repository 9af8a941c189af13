/**
 * The wish of iptables mode, two-level: statics once, and per ServicePort what its rules follow
 * from. Rules are rendered when they are compared or written and not kept: a plan and a style say
 * all of it, in a hundredth of the memory of the text.
 *
 * @module
 */

import type { ServicePlan } from "../../model/plan.ts";
import type { Statics } from "./statics.ts";
import type { ServiceStyle } from "./style.ts";

/** What the rules of one ServicePort follow from. Same object: same rules. */
export interface ServiceRules {
  readonly plan: ServicePlan;
  readonly style: ServiceStyle;
  /**
   * Rules to and in endpoint chains carry remarks. Fixed when the entry is made, so that going over
   * the limit of large clusters does not rewrite the world at once (IPT-24).
   */
  readonly remarks: boolean;
}

/** Everything vipd wants in the tables of one family. */
export interface Ruleset {
  readonly statics: Statics;
  /** That of services made from now on. */
  readonly style: ServiceStyle;
  /** By ServicePortName.key. Same map: same rules. */
  readonly services: ReadonlyMap<string, ServiceRules>;
  /** What the services were made from: a pass over an unchanged plan costs nothing. */
  readonly plans: ReadonlyMap<string, ServicePlan>;
}

/** Tables that hold rules of ours. */
export type RuleTable = "filter" | "nat";
