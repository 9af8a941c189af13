/**
 * A Kubernetes API server for tests and the demo: HTTPS with client certificates and tokens, the
 * objects a kube-proxy watches, lists in pages, watches with bookmarks, WatchList, defaults,
 * validation, allocation, and trouble on demand.
 *
 *     await using server = await startApiServer({});
 *     server.apply(service, slice);                 // as users and controllers write: defaults, checks
 *     server.seed(object);                          // exactly as given, however broken
 *     server.delete({ apiVersion: "v1", kind: "Service", namespace: "default", name: "web" });
 *     server.faults.add({ kind: "error", code: 429, retryAfterSeconds: 1, verb: "list", count: 2 });
 *     server.stopWatches("drop", "services");       // also "end", "hang"
 *     server.compact();                             // old versions now are 410
 *     server.url, server.credentials.ca             // https://127.0.0.1:40123
 *     server.credentials.proxy.{cert,key,token}     // user system:kube-proxy; also admin, stranger
 *     await server.writeFiles(directory);           // ca.crt, proxy.kubeconfig, ... (see files.ts)
 *
 * As a process of its own: main.ts. Over HTTP from elsewhere: control.ts.
 *
 * @module
 */

import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import { Allocation } from "./allocation.ts";
import { ADMIN, PROXY, STRANGER, type User } from "./auth.ts";
import { bootstrapObjects } from "./bootstrap.ts";
import { type CertificateAuthority, createAuthority, type KeyPair } from "./certificates.ts";
import { Faults } from "./faults.ts";
import { writeCredentialFiles } from "./files.ts";
import { handleRequest } from "./http.ts";
import type { JsonObject } from "./json.ts";
import { Registry, typed } from "./registry.ts";
import { type Resource, resourceOfKind, RESOURCES } from "./resources.ts";
import type { ServerState } from "./state.ts";
import { keyOf, Store, type StoreEvent } from "./store.ts";
import type { Watch } from "./watching.ts";

/** How the server is set up. Everything has a default. */
export interface ApiServerOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free one. */
  readonly port?: number;
  /** Further addresses and names in the server certificate. */
  readonly alternativeNames?: readonly string[];
  /** Default 10.96.0.0/12 and fd00:10:96::/108; the first is the default family. */
  readonly serviceRanges?: readonly string[];
  /** Default true: refuse what the real server refuses. */
  readonly validate?: boolean;
  /** Default true: ServiceCIDR `kubernetes`, Service `default/kubernetes` and its slice. */
  readonly bootstrap?: boolean;
  /** Default 60,000. */
  readonly bookmarkIntervalMs?: number;
  /** Events per resource a watch can resume over. Default 10,000. */
  readonly historyLimit?: number;
  /** Version counter before the first write. Default 100. */
  readonly firstVersion?: number;
  /** Default true: serve `sendInitialEvents`. */
  readonly watchList?: boolean;
  /** Certificates of another server, so that a restarted one is trusted. */
  readonly authority?: CertificateAuthority;
}

/** What one user presents. */
export interface UserCredentials extends KeyPair {
  readonly token: string;
}

/** Who may come, with what. */
export interface Credentials {
  /** PEM of the authority that signed the server's certificate and the clients'. */
  readonly ca: string;
  /** system:masters: everything. */
  readonly admin: UserCredentials;
  /** system:kube-proxy: what system:node-proxier may. */
  readonly proxy: UserCredentials;
  /** Known, but may nothing. */
  readonly stranger: UserCredentials;
}

/** Which object. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

/** A running API server. Disposing it closes all connections. */
export interface ApiServer extends AsyncDisposable {
  /** `https://127.0.0.1:40123` */
  readonly url: string;
  readonly port: number;
  readonly authority: CertificateAuthority;
  readonly credentials: Credentials;
  readonly faults: Faults;
  /** Version of the last write. */
  readonly version: number;
  readonly requestCount: number;
  readonly watchCount: number;
  /** Creates or replaces with defaults and checks, status included. Throws StatusError. */
  apply(...objects: readonly object[]): JsonObject[];
  /** Stores objects exactly as given; a resourceVersion ahead of the counter is kept. */
  seed(...objects: readonly object[]): JsonObject[];
  /** True when it was there. Ignores finalizers. */
  delete(reference: ObjectReference): boolean;
  get(reference: ObjectReference): JsonObject | undefined;
  /** All objects of a kind, e.g. `list("events.k8s.io/v1", "Event")`. */
  list(apiVersion: string, kind: string): JsonObject[];
  /** Called after each write to a kind. Returns how to stop it. */
  subscribe(
    what: { readonly apiVersion: string; readonly kind: string },
    listener: (event: StoreEvent) => void,
  ): () => void;
  /** Ends running watches, of one resource (plural) or all. Returns how many. */
  stopWatches(how: "end" | "drop" | "hang", resource?: string): number;
  compact(): void;
  /** Closes all connections mid-word; new ones are welcome. */
  killConnections(): void;
  /** Refuses connections until {@linkcode ApiServer.resume}. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Writes certificates, tokens and kubeconfig files. Returns their paths. */
  writeFiles(directory: string): Promise<Readonly<Record<string, string>>>;
}

/** Starts a server; it listens when the promise resolves. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const authority = options.authority ?? await createAuthority();
  const host = options.host ?? "127.0.0.1";
  const names = new Set(["localhost", "127.0.0.1", "::1", host, ...options.alternativeNames ?? []]);
  const certificate = await authority.issueServer([...names].filter((name) => name !== "0.0.0.0"));
  const credentials: Credentials = {
    ca: authority.cert,
    admin: await issue(authority, ADMIN),
    proxy: await issue(authority, PROXY),
    stranger: await issue(authority, STRANGER),
  };
  const server = new RunningServer({ options, host, authority, credentials, certificate });
  await server.resume();
  if (options.bootstrap ?? true) {
    server.apply(...bootstrapObjects(server.url, options.serviceRanges));
  }
  return server;
}

async function issue(authority: CertificateAuthority, user: User): Promise<UserCredentials> {
  const pair = await authority.issueClient(user);
  return { ...pair, token: `${user.name.replaceAll(":", "-")}.${crypto.randomUUID()}` };
}

interface Parts {
  readonly options: ApiServerOptions;
  readonly host: string;
  readonly authority: CertificateAuthority;
  readonly credentials: Credentials;
  readonly certificate: KeyPair;
}

class RunningServer implements ApiServer {
  readonly authority: CertificateAuthority;
  readonly credentials: Credentials;
  readonly faults = new Faults();
  readonly #state: ServerState;
  readonly #parts: Parts;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #server: Server | undefined;
  #port: number;

  constructor(parts: Parts) {
    const { options, authority, credentials } = parts;
    this.#parts = parts;
    this.authority = authority;
    this.credentials = credentials;
    this.#port = options.port ?? 0;
    const store = new Store({
      historyLimit: options.historyLimit ?? 10_000,
      firstVersion: options.firstVersion ?? 100,
    });
    const allocation = new Allocation(store, options.serviceRanges ?? DEFAULT_RANGES);
    const { admin, proxy, stranger } = credentials;
    this.#state = {
      store,
      registry: new Registry(store, { allocation, validates: options.validate ?? true }),
      faults: this.faults,
      tokens: new Map([[admin.token, ADMIN], [proxy.token, PROXY], [stranger.token, STRANGER]]),
      watches: new Set<Watch>(),
      bookmarkIntervalMs: options.bookmarkIntervalMs ?? 60_000,
      isWatchListServed: options.watchList ?? true,
      sleep: (durationMs) => this.#sleep(durationMs),
      killConnections: () => this.killConnections(),
      requestCount: 0,
    };
  }

  get url(): string {
    const { host } = this.#parts;
    const shown = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
    return `https://${shown.includes(":") ? `[${shown}]` : shown}:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get version(): number {
    return this.#state.store.version;
  }

  get requestCount(): number {
    return this.#state.requestCount;
  }

  get watchCount(): number {
    return this.#state.watches.size;
  }

  apply(...objects: readonly object[]): JsonObject[] {
    return objects.map((object) => this.#state.registry.apply(object).object);
  }

  seed(...objects: readonly object[]): JsonObject[] {
    return objects.map((object) => this.#state.registry.seed(object));
  }

  delete(reference: ObjectReference): boolean {
    const resource = requireResource(reference);
    return this.#state.store.delete(resource, referenceKey(resource, reference)) !== undefined;
  }

  get(reference: ObjectReference): JsonObject | undefined {
    const resource = requireResource(reference);
    const entry = this.#state.store.get(resource, referenceKey(resource, reference));
    return entry && typed(resource, entry);
  }

  list(apiVersion: string, kind: string): JsonObject[] {
    const resource = requireResource({ apiVersion, kind });
    return this.#state.store.list(resource).map((entry) => typed(resource, entry));
  }

  subscribe(
    what: { readonly apiVersion: string; readonly kind: string },
    listener: (event: StoreEvent) => void,
  ): () => void {
    return this.#state.store.subscribe(requireResource(what), listener);
  }

  stopWatches(how: "end" | "drop" | "hang", resource?: string): number {
    const struck = [...this.#state.watches].filter((watch) =>
      resource === undefined || watch.resource.plural === resource
    );
    for (const watch of struck) watch.stop(how);
    return struck.length;
  }

  compact(): void {
    this.#state.store.compact(RESOURCES);
  }

  killConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async pause(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    this.stopWatches("drop");
    this.killConnections();
    await closed;
  }

  async resume(): Promise<void> {
    if (this.#server) return;
    const { host, certificate, authority } = this.#parts;
    const server = createServer({
      ...certificate,
      ca: authority.cert,
      requestCert: true,
      // Who presents a bad certificate gets a 401 Status, as from the real server.
      rejectUnauthorized: false,
    }, (request, response) => void handleRequest(this.#state, { request, response }));
    server.keepAliveTimeout = 60_000;
    for (const event of ["connection", "secureConnection"]) {
      server.on(event, (socket: Socket) => this.#track(socket));
    }
    await listen(server, { host, port: this.#port });
    const address = server.address();
    if (typeof address === "object" && address !== null) this.#port = address.port;
    this.#server = server;
  }

  async writeFiles(directory: string): Promise<Readonly<Record<string, string>>> {
    return await writeCredentialFiles(directory, { url: this.url, credentials: this.credentials });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    await this.pause();
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #sleep(durationMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, durationMs);
      this.#timers.add(timer);
    });
  }
}

const DEFAULT_RANGES = ["10.96.0.0/12", "fd00:10:96::/108"];

function listen(server: Server, where: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where.port, where.host, () => resolve());
  });
}

function requireResource(what: { apiVersion: string; kind: string }): Resource {
  const resource = resourceOfKind(what.apiVersion, what.kind);
  if (!resource) throw new TypeError(`Cannot find resource of ${what.apiVersion} "${what.kind}"`);
  return resource;
}

function referenceKey(resource: Resource, { namespace, name }: ObjectReference): string {
  return keyOf(resource, { namespace: namespace ?? "default", name });
}
