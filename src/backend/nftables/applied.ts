/**
 * What was written: the plans it was made of, not the rules. Rendering a plan again gives the rules as
 * they are in the kernel, so nothing else needs to be kept for ten thousand services.
 *
 * @module
 */

import type { Plan, ServicePlan } from "../../model/plan.ts";
import type { Claims } from "./claims.ts";
import { type Context, hasSameServiceRules } from "./context.ts";
import { NO_PART } from "./desired.ts";
import { type PartChange, STATIC_KEY } from "./diff.ts";
import { nameProblem } from "./names.ts";
import { renderService } from "./render_service.ts";
import { renderStatic } from "./render_static.ts";

/** A ServicePort that cannot be programmed. */
export interface Unusable {
  readonly key: string;
  readonly reason: string;
}

/** The way from what was written to a plan. */
export interface Changes {
  readonly parts: readonly PartChange[];
  readonly unusable: readonly Unusable[];
}

/** The state of the table that we know to be in the kernel. */
export class Applied {
  readonly claims: Claims;
  #context: Context;
  readonly #services = new Map<string, ServicePlan>();
  #plans: ReadonlyMap<string, ServicePlan> | undefined;

  constructor(options: { readonly context: Context; readonly claims: Claims }) {
    this.#context = options.context;
    this.claims = options.claims;
  }

  /** The node and configuration that the rules were made for. */
  get context(): Context {
    return this.#context;
  }

  /** What differs, without the services of `except`. */
  changes(
    plan: Plan,
    { context, except }: {
      readonly context: Context;
      readonly except: ReadonlyMap<string, unknown>;
    },
  ): Changes {
    const parts: PartChange[] = [];
    const unusable: Unusable[] = [];
    const isSameNode = context === this.#context;
    if (!isSameNode) {
      parts.push({
        key: STATIC_KEY,
        was: renderStatic(this.#context),
        wish: renderStatic(context),
      });
    }
    if (isSameNode && plan.services === this.#plans) return { parts, unusable };
    const isSameHere = isSameNode || hasSameServiceRules(this.#context, context);
    for (const [key, wish] of plan.services) {
      const before = this.#services.get(key);
      if (before === wish && isSameHere || except.has(key)) continue;
      const reason = nameProblem(wish.servicePort.name);
      if (reason === undefined) parts.push(this.#change(key, { before, wish, context }));
      else unusable.push({ key, reason });
    }
    for (const [key, before] of this.#services) {
      if (!plan.services.has(key)) parts.push(this.#change(key, { before, context }));
    }
    return { parts, unusable };
  }

  /** The kernel has taken the changes. */
  accept(
    plan: Plan,
    { context, changes }: { readonly context: Context; readonly changes: readonly PartChange[] },
  ): void {
    for (const { key } of changes) {
      const service = plan.services.get(key);
      if (service === undefined) this.#services.delete(key);
      else this.#services.set(key, service);
    }
    this.#context = context;
    this.#plans = plan.services;
  }

  #change(
    key: string,
    { before, wish, context }: {
      readonly before?: ServicePlan | undefined;
      readonly wish?: ServicePlan;
      readonly context: Context;
    },
  ): PartChange {
    return {
      key,
      was: before === undefined ? NO_PART : renderService(before, this.#context),
      wish: wish === undefined ? NO_PART : renderService(wish, context),
    };
  }
}
