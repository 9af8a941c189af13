/**
 * What changed since the last successful sync of a family: the numbers behind the metrics of
 * pending changes, and the times at which pods changed (EP-09).
 *
 * @module
 */

import type { StoreEvent } from "../kube/changes.ts";
import type { IpFamily } from "../model/ip.ts";
import type { Snapshot } from "../model/objects.ts";

/** What one sync takes up. */
export interface Batch {
  /** `ns/name` of Services that changed themselves. */
  readonly services: ReadonlySet<string>;
  /** `ns/name` of Services whose slices changed. */
  readonly endpoints: ReadonlySet<string>;
  /** When the pods behind changed slices changed, ms since 1970. */
  readonly triggerTimesMs: readonly number[];
}

/** Collects changes of one family. */
export class FamilyChanges {
  readonly #family: IpFamily;
  /** Changes from before the start say nothing about how fast we are. */
  readonly #sinceMs: number;
  #services = new Set<string>();
  #endpoints = new Set<string>();
  #triggerTimesMs: number[] = [];

  constructor(family: IpFamily, sinceMs: number) {
    this.#family = family;
    this.#sinceMs = sinceMs;
  }

  /** How many Services have changes that no sync has applied. */
  get pending(): { readonly services: number; readonly endpoints: number } {
    return { services: this.#services.size, endpoints: this.#endpoints.size };
  }

  /** Takes note of what the store tells. */
  note({ kind, service, triggerTimeMs }: StoreEvent, snapshot: Snapshot): void {
    if (service === undefined) return;
    if (kind === "Service") this.#services.add(service);
    if (kind !== "EndpointSlice") return;
    this.#endpoints.add(service);
    if (triggerTimeMs === undefined || triggerTimeMs <= this.#sinceMs) return;
    const slices = snapshot.slicesByService.get(service) ?? [];
    const isOurs = slices.some((slice) =>
      slice.family === this.#family && slice.triggerTimeMs === triggerTimeMs
    );
    if (isOurs) this.#triggerTimesMs.push(triggerTimeMs);
  }

  /** Hands out what has been collected and begins anew. */
  take(): Batch {
    const batch = {
      services: this.#services,
      endpoints: this.#endpoints,
      triggerTimesMs: this.#triggerTimesMs,
    };
    this.#services = new Set();
    this.#endpoints = new Set();
    this.#triggerTimesMs = [];
    return batch;
  }

  /** A sync failed: its changes wait for the next one. */
  giveBack(batch: Batch): void {
    for (const service of batch.services) this.#services.add(service);
    for (const service of batch.endpoints) this.#endpoints.add(service);
    this.#triggerTimesMs.unshift(...batch.triggerTimesMs);
  }
}
