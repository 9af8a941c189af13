/**
 * Brings one family to a wish: keeps in mind what it wrote, reads the kernel when it does not know.
 *
 * The order keeps every packet either unserved or treated right: virtual servers go before their
 * sets and rules, new ones come after them, and an address is bound last (against IPVS-26).
 *
 * @module
 */

import type { Ipvs } from "../../kernel/ipvs/ipvs.ts";
import type { RealServer, VirtualServerAddress } from "../../kernel/ipvs/values.ts";
import type { Links } from "../../kernel/link/link.ts";
import { isNotFound } from "../../kernel/netlink/errors.ts";
import { type Cidr, containsIp, type IpAddress, type IpFamily } from "../../model/ip.ts";
import { diffStates, diffWishes, type IpvsChanges, type OwnedChange } from "./diff.ts";
import { Drains } from "./drains.ts";
import { observeServers } from "./observe.ts";
import { ensureDevice } from "./preflight.ts";
import type { RuleWriter } from "./rule_writer.ts";
import { withoutSets } from "./rules.ts";
import type { SetWriter } from "./set_writer.ts";
import { type FamilyState, wantedState } from "./state.ts";
import { Tally } from "./tally.ts";
import type { IpvsWish } from "./wish.ts";

/** What a programmer works with. */
export interface ProgrammerOptions {
  readonly family: IpFamily;
  readonly scheduler: string;
  readonly excludeCidrs: readonly Cidr[];
  readonly ipvs: Ipvs;
  readonly links: Links;
  readonly sets: SetWriter;
  readonly rules: RuleWriter;
}

/** Attempts of one sync: what is known may have become wrong, answers may have been lost. */
const MAX_ATTEMPTS = 3;

/** How the batches of one attempt went. */
interface Outcome {
  /** False: answers were lost. */
  complete: boolean;
  readonly refused: { readonly owner: string; readonly error: Error }[];
}

/** Writes one family. Calls must not overlap. */
export class Programmer {
  readonly #options: ProgrammerOptions;
  readonly #drains = new Drains();
  /** What the kernel holds; undefined: not known. */
  #applied: IpvsWish | undefined;

  constructor(options: ProgrammerOptions) {
    this.#options = options;
  }

  /** What the kernel holds; undefined: not known. */
  get applied(): IpvsWish | undefined {
    return this.#applied;
  }

  /** Real servers that wait for their last connection to end. */
  get drainCount(): number {
    return this.#drains.size;
  }

  /** Whether this one does. */
  isDraining(address: VirtualServerAddress, realServer: Pick<RealServer, "ip" | "port">): boolean {
    return this.#drains.has(address, realServer);
  }

  /** Forgets what the kernel holds. */
  distrust(): void {
    this.#applied = undefined;
    this.#options.rules.distrust();
  }

  /** Makes the kernel match as far as it can be done; the tally says how far. */
  async program(wish: IpvsWish): Promise<Tally> {
    const tally = new Tally();
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      tally.failures.length = 0;
      const wasKnown = this.#applied !== undefined;
      const outcome: Outcome = { complete: true, refused: [] };
      const isDone = await this.#attempt(wish, { tally, outcome });
      for (const { owner, error } of outcome.refused) {
        if (isLastWord(attempt, { wasKnown, outcome })) tally.refused.set(owner, error.message);
      }
      const isWell = outcome.complete && outcome.refused.length === 0;
      if (isDone && isWell) this.#applied = wish;
      if (isWell || isLastWord(attempt, { wasKnown, outcome })) break;
    }
    return tally;
  }

  /** Returns whether all steps went well as such. */
  async #attempt(
    wish: IpvsWish,
    { tally, outcome }: { tally: Tally; outcome: Outcome },
  ): Promise<boolean> {
    const { scheduler, sets, rules } = this.#options;
    const known = this.#applied;
    this.#applied = undefined;
    const next = known &&
      diffWishes({ before: known.services, after: wish.services }, { scheduler });
    if (next !== undefined && sets.fits(next.sets)) {
      tally.servicesChanged = next.servicesChanged;
      return await this.#write(next, {
        tally,
        outcome,
        writeSets: () => sets.change(next.sets, tally),
        writeRules: () => rules.write(withoutSets(wish.rules, sets.conflicts), tally),
      });
    }
    tally.full = true;
    tally.servicesChanged = wish.services.size;
    const wanted = wantedState(wish.services, { scheduler });
    return await this.#write(this.#observedChanges(wanted, tally), {
      tally,
      outcome,
      writeSets: () => sets.compare(wanted.sets, tally),
      writeRules: () => rules.write(withoutSets(wish.rules, sets.conflicts), tally),
    });
  }

  /** The changes from what the kernel holds; sets are compared when they are written. */
  #observedChanges(wanted: FamilyState, tally: Tally): IpvsChanges {
    const { ipvs, links, family, excludeCidrs } = this.#options;
    this.#drains.clear(); // those in the kernel are found below
    const servers = observeServers(ipvs, { family, excludeCidrs, wanted: wanted.servers });
    let addresses: ReadonlySet<IpAddress> = new Set();
    try {
      addresses = new Set(links.listAddresses(ensureDevice(links), family));
    } catch (error) {
      tally.failures.push(error instanceof Error ? error : new Error(String(error)));
    }
    return diffStates({ sets: new Map(), addresses, servers }, wanted);
  }

  async #write(
    changes: IpvsChanges,
    { tally, outcome, writeSets, writeRules }: {
      tally: Tally;
      outcome: Outcome;
      writeSets: () => Promise<void>;
      writeRules: () => Promise<void>;
    },
  ): Promise<boolean> {
    const { addresses: { add, remove }, removals, additions, updates, retired } = changes;
    this.#changeAddresses({ add: [], remove }, tally);
    this.#apply(removals.filter((removal) => this.#mayRemove(removal)), { tally, outcome });
    const isReady = await tally.attempt(writeSets) && await tally.attempt(writeRules);
    // Without its sets and rules a new service would be reachable unmasqueraded.
    this.#apply(isReady ? [...additions, ...updates] : updates, { tally, outcome });
    if (isReady) this.#changeAddresses({ add, remove: [] }, tally);
    this.#drains.add(retired);
    this.#deleteIdle({ tally, outcome });
    return tally.failures.length === 0;
  }

  /** Nothing in excludeCIDRs is ever removed, also what we made there ourselves (IPVS-23). */
  #mayRemove({ change }: OwnedChange): boolean {
    if (change.kind !== "delete-virtual-server") return true;
    return !this.#options.excludeCidrs.some((cidr) => containsIp(cidr, change.address.ip));
  }

  #apply(
    changes: readonly OwnedChange[],
    { tally, outcome }: { tally: Tally; outcome: Outcome },
  ): void {
    if (changes.length === 0) return;
    const resumed = this.#drains.resume(changes);
    const result = this.#options.ipvs.apply(resumed.map(({ change }) => change));
    tally.bytesWritten += result.bytesSent;
    outcome.complete &&= result.complete;
    for (const { index, error } of result.failures) {
      const owned = resumed[index];
      const isGone = owned?.change.kind.startsWith("delete-") && isNotFound(error);
      if (owned !== undefined && !isGone) outcome.refused.push({ owner: owned.owner, error });
    }
  }

  #changeAddresses(
    changes: { readonly add: readonly IpAddress[]; readonly remove: readonly IpAddress[] },
    tally: Tally,
  ): void {
    if (changes.add.length + changes.remove.length === 0) return;
    const { links } = this.#options;
    try {
      const result = links.changeAddresses(ensureDevice(links), changes);
      tally.bytesWritten += result.bytesSent;
      tally.failures.push(...result.failures.map(({ error }) => error));
      if (!result.complete) tally.failures.push(new Error("Cannot tell whether addresses changed"));
    } catch (error) {
      tally.failures.push(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #deleteIdle(context: { tally: Tally; outcome: Outcome }): void {
    const { ipvs } = this.#options;
    const idle = this.#drains.servers().flatMap((address) => {
      return this.#drains.takeIdle(address, ipvs.listRealServers(address));
    });
    this.#apply(idle, context);
  }
}

/** Whether trying again would change nothing: the kernel had just been asked, and answered. */
function isLastWord(
  attempt: number,
  { wasKnown, outcome }: { wasKnown: boolean; outcome: Outcome },
): boolean {
  return attempt === MAX_ATTEMPTS || (!wasKnown && outcome.complete);
}
