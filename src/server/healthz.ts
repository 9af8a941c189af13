/**
 * Whether this proxy does its work, as /healthz, /livez and the service health checks tell it.
 * Answers to pkg/proxy/healthcheck/proxy_health.go of kube-proxy 1.36 (HZ-01 to HZ-04); unlike
 * there the first sync counts as an update that is waiting, so that one that keeps failing shows.
 *
 * @module
 */

import type { IpFamily } from "../model/ip.ts";
import type { NodeObject } from "../model/objects.ts";
import { type HttpReply, jsonReply } from "./http.ts";

/** Taint of a node that the cluster autoscaler is about to remove (NODE-08). */
const TO_BE_DELETED = "ToBeDeletedByClusterAutoscaler";

/** When a family was last in order, and since when something waits to be applied. */
interface FamilyHealth {
  updatedMs: number;
  /** Oldest change that no sync has taken up yet. */
  waitingMs: number | undefined;
  /** Oldest change of the sync that runs, or that failed. */
  syncingMs: number | undefined;
}

/** What {@linkcode Healthz} needs to know. */
export interface HealthzOptions {
  /** An update that waits longer makes us unhealthy: 2 x syncPeriod. */
  readonly timeoutMs: number;
  readonly nowMs: () => number;
  /** This node; undefined until seen. */
  readonly node: () => NodeObject | undefined;
  /** False until the node and its families are known. */
  readonly isStarted: () => boolean;
}

/** Keeps track of updates and says whether they are applied in time. */
export class Healthz {
  readonly #options: HealthzOptions;
  readonly #families = new Map<IpFamily, FamilyHealth>();

  constructor(options: HealthzOptions) {
    this.#options = options;
  }

  /** A change waits to be applied. */
  queued(family: IpFamily): void {
    this.#family(family).waitingMs ??= this.#options.nowMs();
  }

  /** A sync takes up what was queued. */
  started(family: IpFamily): void {
    const health = this.#family(family);
    health.syncingMs ??= health.waitingMs;
    health.waitingMs = undefined;
  }

  /** What the sync took up is applied. */
  synced(family: IpFamily): void {
    const health = this.#family(family);
    health.updatedMs = this.#options.nowMs();
    health.syncingMs = undefined;
  }

  /** Whether all families apply their updates in time. */
  isHealthy(): boolean {
    return [...this.#families.values()].every((health) => this.#isInTime(health));
  }

  /** Answers /healthz: healthy, and this node is meant to stay. */
  healthzReply(): HttpReply {
    const nodeEligible = this.#isNodeEligible();
    const isOk = this.#options.isStarted() && nodeEligible && this.isHealthy();
    return this.#reply({ isOk, extra: { nodeEligible } });
  }

  /** Answers /livez: a restart would not help a node that is only going away. */
  livezReply(): HttpReply {
    return this.#reply({ isOk: this.isHealthy(), extra: {} });
  }

  #reply({ isOk, extra }: { isOk: boolean; extra: { nodeEligible?: boolean } }): HttpReply {
    const nowMs = this.#options.nowMs();
    const updated = [...this.#families.values()].map(({ updatedMs }) => updatedMs);
    const lastUpdatedMs = isOk ? nowMs : Math.max(0, ...updated);
    // Go sorts the keys of maps.
    const families = [...this.#families].sort(([a], [b]) => a < b ? -1 : 1);
    const status = families.map(([family, health]) => [family, {
      lastUpdated: formatTime(health.updatedMs),
      healthy: this.#isInTime(health),
    }]);
    const body = {
      lastUpdated: formatTime(lastUpdatedMs),
      currentTime: formatTime(nowMs),
      ...extra,
      healthy: this.isHealthy(),
      status: Object.fromEntries(status),
    };
    return jsonReply(isOk ? 200 : 503, JSON.stringify(body));
  }

  #isInTime({ syncingMs, waitingMs }: FamilyHealth): boolean {
    const { nowMs, timeoutMs } = this.#options;
    const queuedMs = syncingMs ?? waitingMs;
    return queuedMs === undefined || nowMs() - queuedMs < timeoutMs;
  }

  #isNodeEligible(): boolean {
    const node = this.#options.node();
    return node === undefined || !(node.deleting || node.taints.includes(TO_BE_DELETED));
  }

  #family(family: IpFamily): FamilyHealth {
    const known = this.#families.get(family);
    if (known !== undefined) return known;
    const updatedMs = this.#options.nowMs();
    const health: FamilyHealth = { updatedMs, waitingMs: undefined, syncingMs: undefined };
    this.#families.set(family, health);
    return health;
  }
}

/** RFC 3339 in UTC, without zeros at the end of the fraction. */
function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0*Z$/, "Z");
}
