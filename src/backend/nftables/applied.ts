/**
 * What was written: the plans it was made of, not the rules. Rendering a plan again gives the rules as
 * they are in the kernel, so nothing else needs to be kept for ten thousand services.
 *
 * @module
 */

import type { Plan, ServicePlan } from "../../model/plan.ts";
import type { Claims } from "./claims.ts";
import { changedKeys } from "./changed_keys.ts";
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
  /** Those of the last plan, also the ones that were not written. */
  #plans: ReadonlyMap<string, ServicePlan> = new Map();

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
    if (context !== this.#context) {
      parts.push({
        key: STATIC_KEY,
        was: renderStatic(this.#context),
        wish: renderStatic(context),
      });
    }
    for (const key of this.#candidates(plan.services, context)) {
      const wish = plan.services.get(key);
      if (except.has(key)) continue;
      const reason = wish && nameProblem(wish.servicePort.name);
      if (reason === undefined) parts.push(this.#change(key, { wish, context }));
      else unusable.push({ key, reason });
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

  /** Services whose rules may differ. */
  #candidates(services: ReadonlyMap<string, ServicePlan>, context: Context): Iterable<string> {
    if (!hasSameServiceRules(this.#context, context)) {
      return new Set([...services.keys(), ...this.#services.keys()]);
    }
    return services === this.#plans ? [] : changedKeys(this.#plans, services);
  }

  #change(
    key: string,
    { wish, context }: { readonly wish: ServicePlan | undefined; readonly context: Context },
  ): PartChange {
    const before = this.#services.get(key);
    return {
      key,
      was: before === undefined ? NO_PART : renderService(before, this.#context),
      wish: wish === undefined ? NO_PART : renderService(wish, context),
    };
  }
}
