/**
 * The iptables mode: what it needs of the host, and the backend of one family. FACTS 1.8.
 *
 * @module
 */

import { RestoreError } from "../../kernel/iptables/errors.ts";
import { type Iptables, openIptables } from "../../kernel/iptables/iptables.ts";
import { openTableMonitor } from "../../kernel/iptables/table_monitor.ts";
import { monitorOrBlind, type TableMonitor } from "../../kernel/iptables/monitor.ts";
import { atLeast } from "../../kernel/iptables/version.ts";
import { openNfacct } from "../../kernel/nfacct/nfacct.ts";
import { SYSCTLS, type Sysctls } from "../../kernel/procfs/sysctl.ts";
import type { Logger } from "../../log.ts";
import { IP_FAMILIES, type IpFamily } from "../../model/ip.ts";
import type { Plan } from "../../model/plan.ts";
import {
  type Backend,
  type BackendOptions,
  type CleanupOptions,
  type Mode,
  SyncError,
  type SyncReport,
} from "../contract.ts";
import { cleanupFamily, type Spares } from "./cleanup.ts";
import { LOCALHOST_COUNTER } from "./portals.ts";
import { Programmer } from "./programmer.ts";
import { type ReadCounter, readPackets } from "./packet_counters.ts";
import { renderRuleset } from "./render.ts";
import type { Ruleset } from "./ruleset.ts";
import { INVALID_COUNTER } from "./statics.ts";
import { type BackendFacts, type Capabilities, wantsLocalhostNodePorts } from "./style.ts";
import { watchTables } from "./watch.ts";

/** What the mode needs of the host; tests bring their own. */
export interface Host {
  openIptables(family: IpFamily, log: Logger): Promise<Iptables>;
  openMonitor(iptables: Iptables): TableMonitor;
  /** Makes a named counter. Throws when the kernel has none. */
  ensureCounter(name: string): void;
  readonly readCounter: ReadCounter;
  readonly sysctls: Sysctls;
}

/**
 * Time after which services that the kernel refused are tried again: soon, for a tool that fails
 * may recover while the culprit is looked for, then twice as long each time.
 */
const QUARANTINE_MS = { first: 1_000, most: 60_000 } as const;

/** Up to this many rules are read again at once when others changed something: it takes 0.1 s. */
const CHEAP_RULES = 15_000;

/** Iptables mode on this host. */
export const IPTABLES: Mode = iptablesMode({
  openIptables: (family, log) => openIptables(family, { log }),
  openMonitor: openTableMonitor,
  ensureCounter(name) {
    using nfacct = openNfacct();
    nfacct.ensure(name);
  },
  readCounter(name) {
    using nfacct = openNfacct();
    const packets = nfacct.read(name)?.packets;
    return packets === undefined ? undefined : Number(packets);
  },
  sysctls: SYSCTLS,
});

/** Iptables mode on a host. */
export function iptablesMode(host: Host): Mode {
  return {
    name: "iptables",
    open: (options) => openBackend(host, options),
    cleanup: (options) => cleanup(host, { ...options, spares: "nothing" }),
    removeLeftovers: (options) => {
      const spares = options.active === "ipvs" ? "what ipvs mode uses" : "nothing";
      return cleanup(host, { ...options, spares });
    },
  };
}

/** The backend of one family. */
export class IptablesBackend implements Backend {
  readonly #log: Logger;
  #facts: BackendFacts;
  readonly #programmer: Programmer;
  readonly #monitor: TableMonitor;
  #wish: Ruleset | undefined;
  #quarantineMs: number = QUARANTINE_MS.first;
  readonly #readCounter: ReadCounter;

  constructor(
    { facts, iptables, monitor, readCounter = () => undefined, log }: {
      facts: BackendFacts;
      /** Default: there are none. */
      readCounter?: ReadCounter;
      iptables: Iptables;
      monitor: TableMonitor;
      log: Logger;
    },
  ) {
    this.#facts = facts;
    this.#log = log;
    this.#readCounter = readCounter;
    this.#monitor = monitor;
    this.#programmer = new Programmer({ iptables, monitor, log });
  }

  /** @inheritDoc */
  async sync(plan: Plan): Promise<SyncReport> {
    if (this.#ownedRules() < CHEAP_RULES && this.#monitor.hasChanged() === true) this.distrust();
    try {
      return await this.#program(plan);
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error), { cause: error });
      const isFirst = this.#programmer.last === undefined;
      if (isFirst && failure instanceof RestoreError && usesCounters(this.#facts)) {
        return await this.#programWithoutCounters(plan, failure);
      }
      throw this.#syncError(failure);
    }
  }

  /** @inheritDoc */
  packets(): Readonly<Record<string, number>> {
    return readPackets(this.#readCounter, this.#facts.capabilities);
  }

  async #program(plan: Plan): Promise<SyncReport> {
    const wish = renderRuleset(plan, { facts: this.#facts, previous: this.#wish });
    this.#wish = wish;
    return this.#report(await this.#programmer.program(wish));
  }

  /** The kernel may have counters and yet no match on them; the match is all that is lost then. */
  async #programWithoutCounters(plan: Plan, failure: RestoreError): Promise<SyncReport> {
    const facts = this.#facts;
    this.#facts = withoutCounters(facts);
    try {
      const report = await this.#program(plan);
      this.#log.warn("Not counting packets, the kernel refuses rules with counters", {
        family: facts.family,
        error: failure,
      });
      return report;
    } catch (error) {
      this.#facts = facts;
      this.#log.v(2, "Rules without counters are refused too", { family: facts.family, error });
      throw this.#syncError(failure);
    }
  }

  #syncError(failure: Error): SyncError {
    return new SyncError("iptables", this.#facts.family, [failure]);
  }

  /** @inheritDoc */
  distrust(): void {
    this.#programmer.distrust();
  }

  /** @inheritDoc */
  watch(onDrift: (what: string) => void, options: { signal: AbortSignal }): Promise<void> {
    return watchTables(this.#monitor, {
      ...options,
      onDrift,
      periodMs: this.#facts.config.syncPeriodMs,
      ownedRules: () => this.#ownedRules(),
    });
  }

  /** @inheritDoc */
  close(): void {
    this.#monitor[Symbol.dispose]();
  }

  #ownedRules(): number {
    const owned = this.#programmer.owned;
    return owned === undefined ? 0 : owned.filter + owned.nat;
  }

  #report({ tally, owned }: Awaited<ReturnType<Programmer["program"]>>): SyncReport {
    const quarantined = this.#programmer.quarantine.list();
    return {
      full: tally.full,
      servicesChanged: tally.services.size,
      bytesWritten: tally.bytesWritten,
      processes: tally.processes,
      rules: {
        filter: { owned: owned.filter, written: tally.written.filter ?? 0 },
        nat: { owned: owned.nat, written: tally.written.nat ?? 0 },
      },
      quarantined,
      lockTimeouts: this.#programmer.takeLockTimeouts(),
      ...this.#retryQuarantined(quarantined.length),
    };
  }

  #retryQuarantined(count: number): { resyncAfterMs?: number } {
    if (count === 0) {
      this.#quarantineMs = QUARANTINE_MS.first;
      return {};
    }
    const resyncAfterMs = this.#quarantineMs;
    this.#quarantineMs = Math.min(QUARANTINE_MS.most, 2 * resyncAfterMs);
    return { resyncAfterMs };
  }
}

function usesCounters({ capabilities }: BackendFacts): boolean {
  return capabilities.invalidCounter || capabilities.localhostCounter;
}

function withoutCounters(facts: BackendFacts): BackendFacts {
  const capabilities = { ...facts.capabilities, invalidCounter: false, localhostCounter: false };
  return { ...facts, capabilities };
}

async function openBackend(host: Host, options: BackendOptions): Promise<Backend> {
  const { family, config, log } = options;
  const iptables = await host.openIptables(family, log);
  const localhostNodePorts = wantsLocalhostNodePorts(family, config);
  // Fatal if it fails: node ports would be announced on addresses where they do not answer.
  if (localhostNodePorts) host.sysctls.ensure("net/ipv4/conf/all/route_localnet", "1");
  const capabilities: Capabilities = {
    randomFully: atLeast(iptables.version, [1, 6, 2]),
    invalidCounter: hasCounter(host, { name: INVALID_COUNTER, log }),
    localhostCounter: localhostNodePorts && hasCounter(host, { name: LOCALHOST_COUNTER, log }),
    dropsInvalid: isZero(host.sysctls.read("net/netfilter/nf_conntrack_tcp_be_liberal")),
  };
  const facts = { family, config: config.iptables, capabilities, localhostNodePorts };
  const { numbers, variant } = iptables.version;
  log.v(2, "Opened iptables", { family, version: numbers.join("."), variant, ...capabilities });
  return new IptablesBackend({
    facts,
    iptables,
    readCounter: host.readCounter,
    monitor: monitorOrBlind(() => host.openMonitor(iptables), { family: iptables.family, log }),
    log,
  });
}

/** Without the counter only the match is lost (IPT-33). */
function hasCounter(host: Host, { name, log }: { name: string; log: Logger }): boolean {
  try {
    host.ensureCounter(name);
    return true;
  } catch (error) {
    log.v(2, "Cannot count packets, the kernel has no nfacct", { name, error });
    return false;
  }
}

function isZero(value: string | undefined): boolean {
  return value === undefined || value === "0";
}

async function cleanup(
  host: Host,
  { log, spares }: CleanupOptions & { readonly spares: Spares },
): Promise<readonly Error[]> {
  const errors: Error[] = [];
  for (const family of IP_FAMILIES) {
    const open = () => host.openIptables(family, log);
    errors.push(...await cleanupFamily(open, { family, log, spares }));
  }
  return errors;
}
