/**
 * A small random cluster that changes step by step, as a store would show it: maps that live on,
 * values that are replaced and, here, frozen.
 *
 * @module
 */

import { parseCidr, parseIp } from "../../src/model/ip.ts";
import type {
  EndpointSlice,
  HostAddress,
  NamespacedName,
  NodeObject,
  Service,
  ServiceCidr,
  ServicePortSpec,
  SliceEndpoint,
  Snapshot,
} from "../../src/model/objects.ts";
import { nodeObject, service, slice, sliceEndpoint } from "../support/builders.ts";
import type { Random } from "../support/random.ts";

const PORTS: readonly ServicePortSpec[] = [
  { name: "http", protocol: "TCP", port: 80, nodePort: 0 },
  { name: "dns", protocol: "UDP", port: 53, nodePort: 30053 },
  { name: "dns", protocol: "TCP", port: 53, nodePort: 0 },
  { name: "", protocol: "SCTP", port: 99, nodePort: 30099 },
];
const ZONES = ["", "zone-a", "zone-b"];
const NODES = ["here", "there", "elsewhere", ""];
const RANGES = ["0.0.0.0/0", "203.0.113.0/24", "2001:db8::/32", "::/0"].map(parseCidr);
const HOST_IPS = ["127.0.0.1", "192.168.0.2", "192.168.0.3", "::1", "fd00:77::2"];

/** Freezes plain data all the way down. */
export function freezeDeep<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    const inner: readonly unknown[] = value instanceof Map
      ? [...value.values()]
      : Object.values(value);
    for (const each of inner) freezeDeep(each);
  }
  return value;
}

/** A cluster of a handful of Services. */
export class Cluster implements Snapshot {
  readonly services = new Map<NamespacedName, Service>();
  readonly slicesByService = new Map<NamespacedName, readonly EndpointSlice[]>();
  readonly serviceCidrs = new Map<string, ServiceCidr>();
  node: NodeObject | undefined;
  hostAddresses: readonly HostAddress[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
    this.#changeHost();
    for (let i = 0; i < 12; i++) this.change();
  }

  /** The same objects in another order. */
  shuffled(): Snapshot & { readonly hostAddresses: readonly HostAddress[] } {
    const random = this.#random;
    const slices = [...this.slicesByService].map(([key, list]) =>
      [key, random.shuffle(list.map((each) => shuffledSlice(each, random)))] as const
    );
    return {
      services: new Map(random.shuffle([...this.services])),
      slicesByService: new Map(random.shuffle(slices)),
      serviceCidrs: new Map(random.shuffle([...this.serviceCidrs])),
      node: this.node,
      hostAddresses: random.shuffle(this.hostAddresses),
    };
  }

  /** One edit of any kind, one without consequences included. */
  change(): void {
    const random = this.#random;
    const name = `s${random.below(5)}`;
    const key: NamespacedName = `ns/${name}`;
    const edits = [
      () => this.services.set(key, this.#service(name)),
      () => this.services.set(key, this.#service(name)),
      () => this.services.delete(key),
      () => this.#touch(key),
      () => this.slicesByService.set(key, freezeDeep(this.#slices(name))),
      () => this.slicesByService.set(key, freezeDeep(this.#slices(name))),
      () => this.slicesByService.delete(key),
      () => this.#changeHost(),
      () => this.serviceCidrs.delete(`c${random.below(2)}`),
      () => this.#addServiceCidr(),
    ];
    random.pick(edits)();
  }

  /** New objects that say the same. */
  #touch(key: NamespacedName): void {
    const [each, slices] = [this.services.get(key), this.slicesByService.get(key)];
    if (each) this.services.set(key, freezeDeep(structuredClone(each)));
    if (slices) this.slicesByService.set(key, freezeDeep(structuredClone(slices)));
  }

  #addServiceCidr(): void {
    const random = this.#random;
    const cidrs = [`172.${random.below(3)}.0.0/16`, `fd00:${random.below(3)}::/112`];
    const name = `c${random.below(2)}`;
    this.serviceCidrs.set(name, freezeDeep({ name, cidrs: cidrs.map(parseCidr) }));
  }

  #changeHost(): void {
    const random = this.#random;
    const ips = HOST_IPS.filter(() => random.chance(0.7));
    this.hostAddresses = freezeDeep(ips.map((ip) => ({
      interfaceName: random.pick(["eth0", "kube-ipvs0"]),
      ip: parseIp(ip),
    })));
    if (random.chance(0.8)) this.node = freezeDeep(nodeObject({ zone: random.pick(ZONES) }));
  }

  #service(name: string): Service {
    const random = this.#random;
    const some = <T>(values: readonly T[]) => values.filter(() => random.chance(0.5));
    const ports = some(PORTS).map((port) => ({
      ...port,
      nodePort: random.chance(0.5) ? port.nodePort : 0,
    }));
    return freezeDeep(service({
      name,
      ports,
      type: random.pick(["ClusterIP", "NodePort", "LoadBalancer"]),
      clusterIps: some([`172.30.${random.below(2)}.${name.slice(1)}`, "fd00::1"].map(parseIp)),
      externalIps: some([parseIp("203.0.113.1")]),
      loadBalancerIps: some([parseIp("203.0.113.2")]),
      loadBalancerSourceRanges: some(RANGES),
      affinitySeconds: random.pick([0, 10800]),
      internalTrafficPolicy: random.pick(["Cluster", "Local"]),
      externalTrafficPolicy: random.pick(["Cluster", "Local"]),
      healthCheckNodePort: random.pick([0, 31000]),
    }));
  }

  /** Mostly without an address twice; see {@linkcode hasTwins}. */
  #slices(name: string): readonly EndpointSlice[] {
    const random = this.#random;
    const ips = Array.from({ length: 6 }, (_, i) => `10.0.0.${i + 7}`);
    const isHinted = random.chance(0.6);
    return Array.from({ length: random.below(3) + 1 }, (_, i) => {
      const own = random.chance(0.1)
        ? ips
        : ips.filter((_, at) => at % 3 === i && random.chance(0.8));
      return slice({
        name: `${name}-${i}`,
        serviceName: name,
        ports: PORTS.filter(() => random.chance(0.8)).map((port) => ({
          name: port.name,
          protocol: port.protocol,
          port: 8000 + port.port,
        })),
        endpoints: own.map((ip) => this.#endpoint(ip, { isHinted })),
        triggerTimeMs: random.below(3),
      });
    });
  }

  #endpoint(ip: string, options: { readonly isHinted: boolean }): SliceEndpoint {
    const random = this.#random;
    const hints = (values: readonly string[]) =>
      options.isHinted && random.chance(0.95)
        ? [...new Set([random.pick(values), random.pick(values)])]
        : [];
    const fate = random.below(6);
    return sliceEndpoint(ip, {
      nodeName: random.pick(NODES),
      ready: fate < 3,
      serving: fate < 5,
      terminating: fate > 1 && random.chance(0.7),
      zoneHints: hints(ZONES.slice(1)),
      nodeHints: hints(NODES.slice(0, 2)),
    });
  }
}

/** Whether one address stands in two slices, where a rule of its own decides (EP-06). */
export function hasTwins(slices: readonly EndpointSlice[]): boolean {
  const ips = slices.flatMap(({ endpoints }) => endpoints.map(({ ip }) => ip));
  return new Set(ips).size < ips.length;
}

function shuffledSlice(each: EndpointSlice, random: Random): EndpointSlice {
  return {
    ...each,
    ports: random.shuffle(each.ports),
    endpoints: random.shuffle(each.endpoints),
  };
}
