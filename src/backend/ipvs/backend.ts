/**
 * The ipvs mode: what it needs of the host, and the backend of one family. FACTS 1.9.
 *
 * @module
 */

import { ipsetTool } from "../../kernel/ipset/ipset.ts";
import { openSetList, type SetList } from "../../kernel/ipset/list.ts";
import { openIptables } from "../../kernel/iptables/iptables.ts";
import { monitorOrBlind, type TableMonitor } from "../../kernel/iptables/monitor.ts";
import { openTableMonitor } from "../../kernel/iptables/table_monitor.ts";
import { atLeast } from "../../kernel/iptables/version.ts";
import { type Ipvs, openIpvs } from "../../kernel/ipvs/ipvs.ts";
import { type Links, openLinks } from "../../kernel/link/link.ts";
import { SYSCTLS } from "../../kernel/procfs/sysctl.ts";
import type { IpAddress } from "../../model/ip.ts";
import type { Plan } from "../../model/plan.ts";
import {
  type Backend,
  type BackendOptions,
  type Mode,
  SyncError,
  type SyncReport,
} from "../contract.ts";
import { BanRefusedError } from "./bans.ts";
import { cleanup, removeLeftovers } from "./cleanup.ts";
import { DriftFinder } from "./drift.ts";
import type { IpvsHost } from "./host.ts";
import {
  checkIpset,
  checkScheduler,
  ensureDevice,
  schedulerOf,
  setSysctls,
  setTimeouts,
} from "./preflight.ts";
import { Programmer } from "./programmer.ts";
import { RuleWriter } from "./rule_writer.ts";
import { SetWriter } from "./set_writer.ts";
import type { Tally } from "./tally.ts";
import { watchKernel } from "./watch.ts";
import { type IpvsWish, type ModeFacts, renderWish } from "./wish.ts";

/** How often real servers that drain are looked at. */
const DRAIN_CHECK_MS = 3_000;
/** Time after which services that the kernel refused are tried again. */
const QUARANTINE_MS = 60_000;
/** With up to this many services, those of others are looked for at each change. */
const CHEAP_SERVICES = 500;

/** Ipvs mode on this host. */
export const IPVS: Mode = ipvsMode({
  openIptables: (family, log) => openIptables(family, { log }),
  openMonitor: openTableMonitor,
  openIpvs,
  openLinks,
  openSetList,
  ipset: ipsetTool(),
  sysctls: SYSCTLS,
});

/** Ipvs mode on a host. */
export function ipvsMode(host: IpvsHost): Mode {
  return {
    name: "ipvs",
    open: (options) => openBackend(host, options),
    cleanup: (options) => cleanup(host, options),
    removeLeftovers: (options) => removeLeftovers(host, options),
  };
}

/** What a backend works with. */
interface Parts {
  readonly options: BackendOptions;
  readonly facts: ModeFacts;
  readonly ipvs: Ipvs;
  readonly links: Links;
  readonly setList: SetList;
  readonly monitor: TableMonitor;
  readonly programmer: Programmer;
  readonly drift: DriftFinder;
}

/** The backend of one family. */
class IpvsBackend implements Backend {
  readonly #parts: Parts;
  #plan: Plan | undefined;
  #wish: IpvsWish | undefined;
  /** Set while the kernel refuses rules that some load balancers need. */
  #refusal: BanRefusedError | undefined;
  /** Addresses that were warned of. */
  readonly #ownAddresses = new Set<IpAddress>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @inheritDoc */
  async sync(plan: Plan): Promise<SyncReport> {
    // Asked again for the same: perhaps the kernel can do by now what it refused.
    if (plan === this.#plan) this.#refusal = undefined;
    this.#plan = plan;
    const tally = await this.#programPlan(plan);
    const refusal = tally.failures.find((one) => one instanceof BanRefusedError);
    if (refusal === undefined) return this.#report(tally);
    this.#refusal = refusal;
    return this.#report(await this.#programPlan(plan));
  }

  /** @inheritDoc */
  distrust(): void {
    this.#parts.programmer.distrust();
  }

  /** @inheritDoc */
  watch(onDrift: (what: string) => void, options: { signal: AbortSignal }): Promise<void> {
    const periodMs = this.#parts.options.config.ipvs.syncPeriodMs;
    return watchKernel(() => this.#look(), { ...options, onDrift, periodMs });
  }

  /** @inheritDoc */
  close(): void {
    const { ipvs, links, setList, monitor } = this.#parts;
    for (const door of [ipvs, links, setList, monitor]) door[Symbol.dispose]();
  }

  async #programPlan(plan: Plan): Promise<Tally> {
    const { facts, programmer } = this.#parts;
    const nodeBan = this.#refusal === undefined ? "enforced" : "refused";
    const wish = renderWish(plan, { facts, nodeBan, previous: this.#wish });
    if (wish !== this.#wish) this.#warnOfOwnAddresses(wish);
    if (wish !== programmer.applied) this.#distrustIfDrifted();
    this.#wish = wish;
    const tally = await this.#program(wish);
    for (const key of wish.curtailed) tally.refused.set(key, this.#refusal?.message ?? "");
    return tally;
  }

  async #program(wish: IpvsWish): Promise<Tally> {
    try {
      return await this.#parts.programmer.program(wish);
    } catch (error) {
      throw this.#failed([error instanceof Error ? error : new Error(String(error))]);
    }
  }

  #failed(failures: readonly Error[]): SyncError {
    const { family } = this.#parts.options;
    // The same device stops several steps.
    const byMessage = new Map(failures.map((failure) => [failure.message, failure]));
    return new SyncError("ipvs", family, [...byMessage.values()]);
  }

  /** Throws a SyncError unless all went well. */
  #report(tally: Tally): SyncReport {
    if (tally.failures.length > 0) throw this.#failed(tally.failures);
    const { quarantined, full, servicesChanged, bytesWritten, processes } = tally;
    const report = { full, servicesChanged, bytesWritten, processes, quarantined };
    if (this.#parts.programmer.drainCount > 0) return { ...report, resyncAfterMs: DRAIN_CHECK_MS };
    return quarantined.length > 0 ? { ...report, resyncAfterMs: QUARANTINE_MS } : report;
  }

  /** What others changed; undefined when nothing is known or all is as it was written. */
  #look(): string | undefined {
    const { programmer, monitor } = this.#parts;
    if (programmer.applied === undefined) return undefined;
    if (monitor.hasChanged() === true) return "somebody else changed the tables";
    const what = this.#findDrift(programmer.applied);
    return what === undefined ? undefined : `somebody else changed ${what}`;
  }

  /** A change is a good moment to look, as kube-proxy does at each of its syncs (IPVS-23). */
  #distrustIfDrifted(): void {
    const { programmer, options: { log, family } } = this.#parts;
    const { applied } = programmer;
    if (applied === undefined || applied.services.size > CHEAP_SERVICES) return;
    const what = this.#findDrift(applied);
    if (what === undefined) return;
    log.info("Repairing what others changed", { family, what });
    programmer.distrust();
  }

  /** Not to be able to look is no reason to stop: the verification reads everything. */
  #findDrift(applied: IpvsWish): string | undefined {
    const { drift, options: { log, family } } = this.#parts;
    try {
      return drift.find(applied);
    } catch (error) {
      log.warn("Cannot look for changes of others", { family, error });
      return undefined;
    }
  }

  #warnOfOwnAddresses({ services, place }: IpvsWish): void {
    const { log, family } = this.#parts.options;
    for (const { plan: { servicePort } } of services.values()) {
      const { clusterIp, name } = servicePort;
      if (!place.hostIps.has(clusterIp) || this.#ownAddresses.has(clusterIp)) continue;
      this.#ownAddresses.add(clusterIp);
      log.warn("ClusterIP is an address of this node, which loses its port to the Service", {
        family,
        servicePort: name.text,
        clusterIp,
      });
    }
  }
}

async function openBackend(host: IpvsHost, options: BackendOptions): Promise<Backend> {
  const { family, config, log } = options;
  await checkIpset(host.ipset);
  const iptables = await host.openIptables(family, log);
  using stack = new DisposableStack();
  const ipvs = stack.use(host.openIpvs());
  const links = stack.use(host.openLinks());
  const setList = stack.use(host.openSetList());
  const scheduler = schedulerOf(config);
  checkScheduler(ipvs, scheduler);
  setSysctls(host.sysctls, config);
  setTimeouts(ipvs, { config, log });
  ensureDevice(links);
  const monitor = stack.use(
    monitorOrBlind(() => host.openMonitor(iptables), { family: iptables.family, log }),
  );
  const facts: ModeFacts = {
    family,
    // There is no such setting for ipvs: that of iptables mode counts.
    masqueradeBit: config.iptables.masqueradeBit,
    masqueradeAll: config.iptables.masqueradeAll,
    randomFully: atLeast(iptables.version, [1, 6, 2]),
  };
  const { excludeCidrs } = config.ipvs;
  const sets = new SetWriter(host.ipset, family);
  const rules = new RuleWriter({ iptables, monitor, log });
  const programmer = new Programmer({ family, scheduler, excludeCidrs, ipvs, links, sets, rules });
  const { numbers, variant } = iptables.version;
  log.v(2, "Opened ipvs", { family, scheduler, iptables: numbers.join("."), variant });
  stack.move();
  const isDraining = programmer.isDraining.bind(programmer);
  const drift = new DriftFinder({ ipvs, links, setList, scheduler, excludeCidrs, isDraining });
  return new IpvsBackend({ options, facts, ipvs, links, setList, monitor, programmer, drift });
}
