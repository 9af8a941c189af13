/**
 * What a proxy mode is to the rest of the house: three verbs, a report and an error.
 * The table of modes is in mod.ts; modes never import each other.
 *
 * @module
 */

import type { IpFamily } from "../model/ip.ts";
import type { Plan } from "../model/plan.ts";
import type { Logger } from "../log.ts";
import type { KubeProxyConfiguration, ProxyMode } from "../config/types.ts";

/** Rules of one table after a sync: how many are ours, how many were written. */
export interface RuleCount {
  readonly owned: number;
  readonly written: number;
}

/** A ServicePort the kernel would not take; everything else was programmed. */
export interface Quarantined {
  /** ServicePortName.key */
  readonly key: string;
  readonly reason: string;
}

/** What one sync did. */
export interface SyncReport {
  /** Everything was written or verified, not only what changed. */
  readonly full: boolean;
  /** ServicePorts whose kernel state was written or removed. */
  readonly servicesChanged: number;
  /** Text or netlink bytes handed to the kernel or to a tool. */
  readonly bytesWritten: number;
  /** Child processes started. */
  readonly processes: number;
  /** iptables tables by name (iptables mode only). */
  readonly rules?: Readonly<Record<string, RuleCount>>;
  readonly quarantined: readonly Quarantined[];
  /** How often the xtables lock was not to be had, since the last report (iptables mode only). */
  readonly lockTimeouts?: number;
  /**
   * When given, the shell syncs again after this time though nothing changed (a chain the kernel
   * has not let go of, a real server that drains).
   */
  readonly resyncAfterMs?: number;
}

/** A way to program the kernel. One value serves one IP family. */
export interface Backend {
  /** Makes the node match `plan`. Idempotent. Throws {@linkcode SyncError} when it could not. */
  sync(plan: Plan): Promise<SyncReport>;
  /**
   * Forgets what was written, so that the next sync reads the kernel, compares, and writes only
   * what differs. The hourly verification and drift both come here.
   */
  distrust(): void;
  /** Resolves on abort. Calls `onDrift` when someone else changed what we wrote. */
  watch(onDrift: (what: string) => void, options: { signal: AbortSignal }): Promise<void>;
  /** Packets that rules counted, by name of metric; asked at each scrape. May throw. */
  packets?(): Readonly<Record<string, number>>;
  /** Frees sockets; rules stay in the kernel. */
  close(): void;
}

/** What a mode is opened with. */
export interface BackendOptions {
  readonly family: IpFamily;
  readonly config: KubeProxyConfiguration;
  readonly log: Logger;
}

/** What `--cleanup` is given: both families are meant. */
export interface CleanupOptions {
  readonly config: KubeProxyConfiguration;
  readonly log: Logger;
}

/** What the removal of leftovers is given. */
export interface LeftoverOptions extends CleanupOptions {
  /** The mode that is in charge now and complete; what it uses must stay. */
  readonly active: ProxyMode;
}

/** One row of the table of modes. */
export interface Mode {
  readonly name: ProxyMode;
  /**
   * Pre-flight checks and sysctls, then a backend that has written no rule yet.
   * Throws an Error that says what is missing and how to get it.
   */
  open(options: BackendOptions): Promise<Backend>;
  /**
   * Removes everything any version of this mode installs, both families, as far as possible.
   * Returns what went wrong; nothing to clean is not wrong.
   */
  cleanup(options: CleanupOptions): Promise<readonly Error[]>;
  /**
   * Removes what this mode left behind while another one is active, as far as that one does not
   * use it: iptables and ipvs mode have chains of the same names. Absent: `cleanup` does it, but
   * between iptables and ipvs mode nothing is removed.
   */
  removeLeftovers?(options: LeftoverOptions): Promise<readonly Error[]>;
}

/** A sync that did not reach the wish. The shell logs it, counts it and tries again. */
export class SyncError extends Error {
  override readonly name = "SyncError";
  constructor(
    readonly mode: ProxyMode,
    readonly family: IpFamily,
    readonly failures: readonly Error[],
  ) {
    super(`Cannot sync ${mode} for ${family}: ${failures.map((f) => f.message).join("; ")}`, {
      cause: failures[0],
    });
  }
}
