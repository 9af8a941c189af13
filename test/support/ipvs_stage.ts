/**
 * A kernel of fakes for the tests of ipvs mode, and a daemon's life in front of it: Services come
 * and go, plans follow each other, vipd is restarted.
 *
 * @module
 */

import { FakeIpset } from "../../src/kernel/ipset/fake.ts";
import { FakeIptables } from "../../src/kernel/iptables/fake.ts";
import { BLIND_MONITOR } from "../../src/kernel/iptables/monitor.ts";
import { FakeIpvs } from "../../src/kernel/ipvs/fake.ts";
import { describeChange, type IpvsResult } from "../../src/kernel/ipvs/ipvs.ts";
import { formatVirtualServer, type IpvsChange } from "../../src/kernel/ipvs/values.ts";
import { FakeLinks } from "../../src/kernel/link/fake.ts";
import type { AddressChanges, AddressResult, Link } from "../../src/kernel/link/link.ts";
import { completeConfiguration } from "../../src/config/complete.ts";
import type { IpvsConfig, KubeProxyConfiguration } from "../../src/config/types.ts";
import { type Logger, SILENT } from "../../src/log.ts";
import { parseIp } from "../../src/model/ip.ts";
import type { EndpointSlice, HostAddress, Service } from "../../src/model/objects.ts";
import type { Plan } from "../../src/model/plan.ts";
import { Planner } from "../../src/model/planner.ts";
import { nodeObject, plannerOptions, service, slice, sliceEndpoint, snapshot } from "./builders.ts";
import type { Backend, SyncReport } from "../../src/backend/contract.ts";
import { ipvsMode } from "../../src/backend/ipvs/backend.ts";

/** A Service for {@linkcode Stage.put}; endpoints that start with "here " are on this node. */
export type StagedService = Partial<Service> & { readonly endpoints?: readonly string[] };

/** Everything vipd touches, in memory. What it does is noted in order. */
export class Stage {
  readonly steps: string[] = [];
  readonly ipset = new NotingIpset(this.steps);
  readonly iptables = new FakeIptables({ variant: "legacy" });
  readonly ipvs = new NotingIpvs(this.steps);
  readonly links = new NotingLinks(this.steps);
  readonly sysctls = new Map<string, string>([["kernel/osrelease", "6.1.176"]]);
  readonly warnings: string[] = [];
  hostAddresses: HostAddress[] = [
    { interfaceName: "lo", ip: parseIp("127.0.0.1") },
    { interfaceName: "eth0", ip: parseIp("192.168.0.2") },
  ];
  readonly #services = new Map<string, Service>();
  readonly #slices = new Map<string, EndpointSlice>();
  readonly #planner = new Planner(plannerOptions({
    clusterCidrs: [],
    nodeIp: parseIp("0.0.0.0"),
  }));
  readonly mode = ipvsMode({
    openIptables: () => Promise.resolve(this.iptables),
    openMonitor: () => BLIND_MONITOR,
    openIpvs: () => this.ipvs,
    openLinks: () => this.links,
    openSetList: () => this.ipset,
    ipset: this.ipset,
    sysctls: {
      read: (name) => this.sysctls.get(name),
      ensure: (name, value) => void this.sysctls.set(name, value),
    },
  });
  readonly log: Logger = { ...SILENT, warn: (message) => void this.warnings.push(message) };
  backend: Backend | undefined;

  constructor() {
    this.iptables.onRestore = () => void this.steps.push("rules");
  }

  /** Starts vipd, again if need be. What it knew is gone. */
  async start(ipvs: Partial<IpvsConfig> = {}): Promise<void> {
    this.backend = await this.mode.open({ family: "IPv4", config: config(ipvs), log: this.log });
  }

  put(name: string, { endpoints = [], ...fields }: StagedService): void {
    this.#services.set(name, service({ name, ...fields }));
    const ports = (fields.ports ?? [{ name: "http", protocol: "TCP" } as const])
      .map((port) => ({ name: port.name, protocol: port.protocol, port: 8080 }));
    this.#slices.set(
      name,
      slice({
        name: `${name}-1`,
        serviceName: name,
        ports,
        endpoints: endpoints.map((text) => {
          return sliceEndpoint(text.replace("here ", ""), {
            nodeName: text.startsWith("here ") ? "here" : "elsewhere",
          });
        }),
      }),
    );
  }

  remove(name: string): void {
    this.#services.delete(name);
    this.#slices.delete(name);
  }

  plan(): Plan {
    const objects = snapshot({
      services: [...this.#services.values()],
      slices: [...this.#slices.values()],
      node: nodeObject(),
    });
    return this.#planner.plan(objects, this.hostAddresses);
  }

  /** One sync, with a fresh list of steps. */
  async sync(): Promise<SyncReport> {
    this.steps.length = 0;
    if (this.backend === undefined) await this.start();
    if (this.backend === undefined) throw new TypeError("not started");
    return await this.backend.sync(this.plan());
  }

  /** Real servers of a virtual server as `ip:port weight`, sorted. */
  realServers(key: string): string[] {
    const found = this.ipvs.servers.get(key)?.realServers ?? new Map();
    return [...found].map(([address, { weight }]) => `${address} ${weight}`).sort();
  }

  entries(set: string): string[] {
    return [...this.ipset.sets.get(set)?.entries ?? []].sort();
  }

  async rules(chain: string): Promise<readonly string[]> {
    const tables = await this.iptables.save();
    return [...tables.values()].flatMap((table) => table.get(chain) ?? []);
  }
}

/** The configuration of ipvs mode with these settings of its own. */
export function config(ipvs: Partial<IpvsConfig> = {}): KubeProxyConfiguration {
  const complete = completeConfiguration({ mode: "ipvs" });
  return { ...complete, ipvs: { ...complete.ipvs, ...ipvs } };
}

class NotingIpset extends FakeIpset {
  constructor(readonly steps: string[]) {
    super();
  }

  override restore(lines: string): Promise<void> {
    this.steps.push("sets");
    return super.restore(lines);
  }
}

class NotingIpvs extends FakeIpvs {
  constructor(readonly steps: string[]) {
    super();
  }

  override apply(changes: readonly IpvsChange[]): IpvsResult {
    this.steps.push(...changes.map(describeChange));
    return super.apply(changes);
  }
}

class NotingLinks extends FakeLinks {
  constructor(readonly steps: string[]) {
    super();
  }

  override changeAddresses(link: Link, changes: AddressChanges): AddressResult {
    this.steps.push(...changes.remove.map((ip) => `unbind ${ip}`));
    this.steps.push(...changes.add.map((ip) => `bind ${ip}`));
    return super.changeAddresses(link, changes);
  }
}

/** The key of a TCP virtual server on port 80. */
export function web(ip: string): string {
  return formatVirtualServer({ ip: parseIp(ip), protocol: "TCP", port: 80 });
}
