/**
 * Real servers that nobody wants any more but that still have connections: weight 0, deleted as
 * soon as they are idle, wanted again when their endpoint returns. FACTS IPVS-21, IPVS-22.
 *
 * What drains is in the kernel, too: after a restart the first comparison finds it there.
 *
 * @module
 */

import {
  formatVirtualServer,
  type ObservedRealServer,
  type VirtualServerAddress,
} from "../../kernel/ipvs/values.ts";
import { formatHostPort } from "../../model/ip.ts";
import type { OwnedChange, Retired } from "./diff.ts";

/** The real servers that drain. */
export class Drains {
  /** By virtual server, then by `ip:port`. */
  readonly #byServer = new Map<string, Map<string, Retired>>();

  /** How many there are. */
  get size(): number {
    return [...this.#byServer.values()].reduce((sum, drains) => sum + drains.size, 0);
  }

  /** Virtual servers that have some. */
  servers(): readonly VirtualServerAddress[] {
    return [...this.#byServer.values()].flatMap((drains) => {
      return [...drains.values()].slice(0, 1).map(({ address }) => address);
    });
  }

  /** Whether this one does. */
  has(
    address: VirtualServerAddress,
    realServer: Pick<ObservedRealServer, "ip" | "port">,
  ): boolean {
    return this.#byServer.get(formatVirtualServer(address))?.has(keyOf(realServer)) ?? false;
  }

  /** From now on they drain. */
  add(retired: readonly Retired[]): void {
    for (const one of retired) {
      const server = formatVirtualServer(one.address);
      const drains = this.#byServer.get(server) ?? new Map<string, Retired>();
      drains.set(keyOf(one.realServer), one);
      this.#byServer.set(server, drains);
    }
  }

  /**
   * The changes with real servers that are still there brought back instead of added, so that
   * their connections go on. They do not drain any more, nor does what went with its server.
   */
  resume(changes: readonly OwnedChange[]): readonly OwnedChange[] {
    return changes.map((owned) => {
      const { change } = owned;
      if (change.kind === "delete-virtual-server") {
        this.#byServer.delete(formatVirtualServer(change.address));
      }
      if (change.kind !== "add-real-server" || !this.#forget(change)) return owned;
      return { ...owned, change: { ...change, kind: "update-real-server" } };
    });
  }

  /** Takes out those that have no connections left, or are not there any more. */
  takeIdle(
    address: VirtualServerAddress,
    observed: readonly ObservedRealServer[],
  ): readonly OwnedChange[] {
    const drains = this.#byServer.get(formatVirtualServer(address));
    const found = new Map(observed.map((realServer) => [keyOf(realServer), realServer]));
    const idle: OwnedChange[] = [];
    for (const [key, { realServer, owner }] of drains ?? []) {
      const now = found.get(key);
      if (now !== undefined && now.activeConnections + now.inactiveConnections > 0) continue;
      this.#forget({ address, realServer });
      if (now === undefined) continue;
      idle.push({ owner, change: { kind: "delete-real-server", address, realServer } });
    }
    return idle;
  }

  /** Forgets all: they are found again in the kernel. */
  clear(): void {
    this.#byServer.clear();
  }

  #forget({ address, realServer }: Pick<Retired, "address" | "realServer">): boolean {
    const server = formatVirtualServer(address);
    const drains = this.#byServer.get(server);
    const wasThere = drains?.delete(keyOf(realServer)) ?? false;
    if (drains?.size === 0) this.#byServer.delete(server);
    return wasThere;
  }
}

function keyOf({ ip, port }: Pick<ObservedRealServer, "ip" | "port">): string {
  return formatHostPort(ip, port);
}
