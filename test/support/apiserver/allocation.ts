/**
 * Which cluster IPs and node ports are taken, and the next free ones. Read off the stored
 * Services, so seeded objects count too.
 *
 * @module
 */

import {
  type Address,
  familyOf,
  formatAddress,
  isInRange,
  parseAddress,
  parseRange,
  type Range,
} from "./addresses.ts";
import { type JsonObject, listAt, numberAt, objectAt, objectsAt, textsAt } from "./json.ts";
import { RESOURCES } from "./resources.ts";
import { keyOf, type Store, type StoreEvent } from "./store.ts";

/** Lowest and highest node port. */
export const NODE_PORTS: readonly [number, number] = [30_000, 32_767];
// The real server hands out from above this band first, so fixed ports seldom collide.
const FIRST_DYNAMIC_NODE_PORT = 30_086;

const SERVICES = RESOURCES.find(({ plural }) => plural === "services");
const SERVICE_CIDRS = RESOURCES.find(({ plural }) => plural === "servicecidrs");

/** An address family as the API spells it. */
export type Family = "IPv4" | "IPv6";

/** Cluster IPs and node ports in use. */
export class Allocation {
  readonly #ownerByIp = new Map<string, string>();
  readonly #ownerByPort = new Map<number, string>();
  readonly #cursorByRange = new Map<string, bigint>();
  #portCursor = FIRST_DYNAMIC_NODE_PORT;

  constructor(private readonly store: Store, private readonly defaultRanges: readonly string[]) {
    if (SERVICES) store.subscribe(SERVICES, (event) => this.#onEvent(event));
  }

  /** Families of the cluster, the default one first. */
  families(): readonly Family[] {
    const families = this.defaultRanges.flatMap((text) => {
      const range = parseRange(text);
      return range ? [familyOf(range.first)] : [];
    });
    return [...new Set(families)];
  }

  /** The service that has this address or port; undefined when it is free. */
  ownerOf(what: string | number): string | undefined {
    return typeof what === "number" ? this.#ownerByPort.get(what) : this.#ownerByIp.get(what);
  }

  /** True when some ServiceCIDR, or a range of the server itself, has this address. */
  isServiceIp(address: Address): boolean {
    return this.#ranges().some((range) => isInRange(range, address));
  }

  /** A free address; undefined when none is left. */
  nextIp(family: Family): string | undefined {
    for (const range of this.#ranges()) {
      if (familyOf(range.first) !== family) continue;
      const ip = this.#nextIpOf(range);
      if (ip !== undefined) return ip;
    }
    return undefined;
  }

  /** A free node port that is not in `taken`; undefined when none is left. */
  nextNodePort(taken: ReadonlySet<number>): number | undefined {
    const [low, high] = NODE_PORTS;
    for (let tries = low; tries <= high; tries++) {
      const port = this.#portCursor;
      this.#portCursor = port >= high ? low : port + 1;
      if (!this.#ownerByPort.has(port) && !taken.has(port)) return port;
    }
    return undefined;
  }

  #nextIpOf(range: Range): string | undefined {
    const { first: { bits, value }, prefixLength } = range;
    const size = 1n << BigInt(bits - prefixLength);
    const name = `${value}/${prefixLength}`;
    const start = this.#cursorByRange.get(name) ?? (size > 256n ? 256n : 1n);
    for (let tries = 0n; tries < size && tries < 1_000_000n; tries++) {
      const offset = (start + tries) % size;
      const isEdge = offset === 0n || (bits === 32 && offset === size - 1n && size > 2n);
      const ip = formatAddress({ bits, value: value + offset });
      if (isEdge || this.#ownerByIp.has(ip)) continue;
      this.#cursorByRange.set(name, offset + 1n);
      return ip;
    }
    return undefined;
  }

  #ranges(): Range[] {
    const cidrs = SERVICE_CIDRS ? this.store.list(SERVICE_CIDRS) : [];
    const texts = cidrs.flatMap(({ object }) => textsAt(object, "spec.cidrs"));
    return [...new Set([...this.defaultRanges, ...texts])].flatMap((text) =>
      parseRange(text) ?? []
    );
  }

  #onEvent({ type, entry, previous }: StoreEvent): void {
    const { key } = entry;
    if (previous) {
      for (const ip of clusterIps(previous.object)) release(this.#ownerByIp, { what: ip, key });
      for (const port of nodePorts(previous.object)) {
        release(this.#ownerByPort, { what: port, key });
      }
    }
    if (type === "DELETED") return;
    for (const ip of clusterIps(entry.object)) this.#ownerByIp.set(ip, key);
    for (const port of nodePorts(entry.object)) this.#ownerByPort.set(port, key);
  }
}

function release<What>(
  owners: Map<What, string>,
  { what, key }: { what: What; key: string },
): void {
  if (owners.get(what) === key) owners.delete(what);
}

/** Cluster IPs of a Service in canonical spelling, without `None`. */
export function clusterIps(service: JsonObject): string[] {
  return textsAt(service, "spec.clusterIPs").flatMap((text) => {
    const address = parseAddress(text);
    return address ? [formatAddress(address)] : [];
  });
}

/** Node ports of a Service, the health check port too; each once. */
export function nodePorts(service: JsonObject): number[] {
  const ports = objectsAt(service, "spec.ports").map((port) => numberAt(port, "nodePort"));
  return [...new Set([...ports, numberAt(service, "spec.healthCheckNodePort")])].filter((port) =>
    port > 0
  );
}

/** `namespace/name` of a Service. */
export function serviceKey(service: JsonObject): string {
  const { namespace, name } = objectAt(service, "metadata");
  const where = { namespace: String(namespace ?? ""), name: String(name ?? "") };
  return SERVICES ? keyOf(SERVICES, where) : "";
}

/** True when the object has any entry in this list. */
export function hasAny(object: JsonObject, path: string): boolean {
  return listAt(object, path).length > 0;
}
