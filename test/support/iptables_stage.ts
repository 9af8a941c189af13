/**
 * For tests of iptables mode: Services and slices that change, a planner, and the backend on a fake
 * kernel. Services are `ns/NAME` with a TCP port `http` 80.
 *
 * @module
 */

import { FakeIptables } from "../../src/kernel/iptables/fake.ts";
import { BLIND_MONITOR } from "../../src/kernel/iptables/monitor.ts";
import type { IptablesVariant } from "../../src/kernel/iptables/version.ts";
import { type Fields, type Logger, SILENT } from "../../src/log.ts";
import { parseIp } from "../../src/model/ip.ts";
import type { EndpointSlice, Service } from "../../src/model/objects.ts";
import type { Plan } from "../../src/model/plan.ts";
import { Planner } from "../../src/model/planner.ts";
import { nodeObject, plannerOptions, service, slice, sliceEndpoint, snapshot } from "./builders.ts";
import { IptablesBackend } from "../../src/backend/iptables/backend.ts";
import type { BackendFacts } from "../../src/backend/iptables/style.ts";

/** A node that can do everything. */
export const FACTS: BackendFacts = {
  family: "IPv4",
  config: {
    masqueradeBit: 14,
    masqueradeAll: false,
    localhostNodePorts: true,
    syncPeriodMs: 30_000,
    minSyncPeriodMs: undefined,
  },
  capabilities: {
    randomFully: true,
    invalidCounter: true,
    localhostCounter: true,
    dropsInvalid: true,
  },
  localhostNodePorts: true,
};

/** One node, over time. */
export class Stage {
  readonly iptables: FakeIptables;
  /** Messages with their fields, oldest first. */
  readonly logged: { readonly message: string; readonly fields: Fields | undefined }[] = [];
  readonly #services = new Map<string, Service>();
  readonly #slices = new Map<string, EndpointSlice>();
  readonly #planner = new Planner(plannerOptions());
  backend: IptablesBackend;

  constructor(variant: IptablesVariant = "nf_tables") {
    this.iptables = new FakeIptables({ variant });
    this.backend = this.restarted();
  }

  /** A new process on the same node. */
  restarted(): IptablesBackend {
    const note = (message: string, fields?: Fields) => void this.logged.push({ message, fields });
    const log: Logger = { ...SILENT, info: note, warn: note, error: note };
    const { iptables } = this;
    return new IptablesBackend({ facts: FACTS, iptables, monitor: BLIND_MONITOR, log });
  }

  /** Makes or replaces a Service and its endpoints. */
  put(name: string, endpoints: readonly string[], fields: Partial<Service> = {}): void {
    const number = this.#services.size + 1;
    const clusterIps = this.#services.get(name)?.clusterIps ?? [
      parseIp(`172.30.${Math.floor(number / 250)}.${number % 250}`),
    ];
    this.#services.set(name, service({ name, clusterIps, ...fields }));
    this.scale(name, endpoints);
  }

  /** Replaces the endpoints of a Service. */
  scale(name: string, endpoints: readonly string[]): void {
    this.#slices.set(
      name,
      slice({
        name: `${name}-1`,
        serviceName: name,
        endpoints: endpoints.map((ip) => sliceEndpoint(ip)),
      }),
    );
  }

  /** Deletes a Service with its slice. */
  remove(name: string): void {
    this.#services.delete(name);
    this.#slices.delete(name);
  }

  plan(): Plan {
    const { services, slicesByService } = snapshot({
      services: [...this.#services.values()],
      slices: [...this.#slices.values()],
    });
    const view = { services, slicesByService: this.#stable(slicesByService) };
    return this.#planner.plan({ ...view, node: this.#node, serviceCidrs: new Map() }, []);
  }

  /** Plans, syncs, and returns what was handed to iptables-restore for it. */
  async sync(): Promise<readonly string[]> {
    const before = this.iptables.restores.length;
    await this.backend.sync(this.plan());
    return this.iptables.restores.slice(before);
  }

  /** The lists of unchanged slices are the same objects, as in a store. */
  #stable(
    lists: ReadonlyMap<`${string}/${string}`, readonly EndpointSlice[]>,
  ): ReadonlyMap<`${string}/${string}`, readonly EndpointSlice[]> {
    return new Map([...lists].map(([key, list]) => {
      const known = this.#lists.get(key);
      const isSame = known?.length === list.length && list.every((each, i) => each === known[i]);
      const kept = isSame ? known : list;
      this.#lists.set(key, kept);
      return [key, kept];
    }));
  }

  readonly #lists = new Map<`${string}/${string}`, readonly EndpointSlice[]>();
  readonly #node = nodeObject();
}
