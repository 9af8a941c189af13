/**
 * The health checks that load balancers ask, one HTTP server per healthCheckNodePort (HZ-06): 200
 * when this node has ready endpoints of the Service and the proxy is healthy, else 503.
 *
 * Both families of a Service share a socket on `::` when node ports answer everywhere: the family
 * of the client says which endpoints are counted. A port that cannot be bound is tried again by
 * itself (vipd's answer to HZ-07).
 *
 * @module
 */

import { familyOf, type IpAddress, type IpFamily, parseIp } from "../model/ip.ts";
import type { ServiceHealthCheck } from "../model/health.ts";
import type { NamespacedName } from "../model/objects.ts";
import type { NodePortAddresses } from "../model/plan.ts";
import { type HttpReply, jsonReply, type Listen, type Listener, NOT_FOUND } from "./http.ts";

const RETRY_MS = 5_000;
const EVERYWHERE = parseIp("::");

/** What one family asks for. */
export interface FamilyChecks {
  readonly checks: ReadonlyMap<NamespacedName, ServiceHealthCheck>;
  readonly addresses: NodePortAddresses;
}

/** A health check that nobody can reach. */
export interface BindFailure {
  readonly service: NamespacedName;
  readonly ip: IpAddress;
  readonly port: number;
  readonly error: unknown;
}

/** What {@linkcode ServiceHealthServers} needs. */
export interface ServiceHealthOptions {
  readonly isProxyHealthy: () => boolean;
  readonly listen: Listen;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Called once for each port until it could be bound. */
  readonly onBindFailure: (failure: BindFailure) => void;
  readonly signal: AbortSignal;
}

/** One socket that should be open. */
interface Binding {
  readonly ip: IpAddress;
  readonly port: number;
  readonly service: NamespacedName;
}

/** The servers of all Services. */
export class ServiceHealthServers {
  readonly #options: ServiceHealthOptions;
  readonly #families = new Map<IpFamily, FamilyChecks>();
  readonly #open = new Map<string, Listener>();
  readonly #failed = new Set<string>();
  #isDirty = false;
  #running: Promise<void> | undefined;
  #retrying: Promise<void> | undefined;

  constructor(options: ServiceHealthOptions) {
    this.#options = options;
  }

  /** Takes over what a synced plan asks for. Sockets follow at once, but are not waited for. */
  update(family: IpFamily, checks: FamilyChecks): void {
    this.#families.set(family, checks);
    this.#isDirty = true;
    this.#running ??= this.#follow();
  }

  /** Resolves when sockets are as the last update wants them, or after a failed try. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Closes everything. */
  async close(): Promise<void> {
    this.#families.clear();
    this.#isDirty = true;
    await (this.#running ??= this.#follow());
  }

  async #follow(): Promise<void> {
    while (this.#isDirty) {
      this.#isDirty = false;
      await this.#reconcile(this.#bindings());
    }
    this.#running = undefined;
    if (this.#failed.size > 0) this.#retrying ??= this.#retryLater();
  }

  async #retryLater(): Promise<void> {
    await this.#options.sleep(RETRY_MS, this.#options.signal);
    this.#retrying = undefined;
    if (this.#options.signal.aborted || this.#failed.size === 0) return;
    this.#isDirty = true;
    this.#running ??= this.#follow();
  }

  async #reconcile(wanted: ReadonlyMap<string, Binding>): Promise<void> {
    for (const [key, listener] of [...this.#open]) {
      if (wanted.has(key)) continue;
      this.#open.delete(key);
      await listener.close();
    }
    for (const key of [...this.#failed]) {
      if (!wanted.has(key)) this.#failed.delete(key);
    }
    for (const [key, binding] of wanted) {
      if (!this.#open.has(key)) await this.#bind(key, binding);
    }
  }

  async #bind(key: string, { ip, port, service }: Binding): Promise<void> {
    try {
      const listener = await this.#options.listen({
        ip,
        port,
        handler: ({ family }) => this.#reply(service, family),
        welcomes: (family) => this.#families.get(family)?.checks.get(service)?.port === port,
      });
      this.#open.set(key, listener);
      this.#failed.delete(key);
    } catch (error) {
      if (!this.#failed.has(key)) this.#options.onBindFailure({ service, ip, port, error });
      this.#failed.add(key);
    }
  }

  /** By `ip port service`: the sockets that all families together want. */
  #bindings(): ReadonlyMap<string, Binding> {
    const bindings = new Map<string, Binding>();
    for (const [family, { checks, addresses }] of this.#families) {
      const ips = addresses.kind === "all"
        ? [EVERYWHERE]
        : addresses.addresses.filter((ip) => familyOf(ip) === family);
      for (const { service, port } of checks.values()) {
        for (const ip of ips) bindings.set(`${ip} ${port} ${service}`, { ip, port, service });
      }
    }
    return bindings;
  }

  #reply(service: NamespacedName, family: IpFamily): HttpReply {
    const check = this.#families.get(family)?.checks.get(service);
    if (check === undefined) return NOT_FOUND;
    const isProxyHealthy = this.#options.isProxyHealthy();
    const isOk = check.localEndpoints > 0 && isProxyHealthy;
    const body = {
      service: { namespace: check.namespace, name: check.name },
      localEndpoints: check.localEndpoints,
      serviceProxyHealthy: isProxyHealthy,
    };
    const reply = jsonReply(isOk ? 200 : 503, JSON.stringify(body, undefined, "\t"));
    const weight = { "X-Load-Balancing-Endpoint-Weight": String(check.localEndpoints) };
    return { ...reply, headers: { ...reply.headers, ...weight } };
  }
}
