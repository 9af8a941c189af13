/**
 * The API server as a source of objects: one reflector for each of the four kinds.
 *
 * @module
 */

import type { ClientConnectionConfig } from "../config/types.ts";
import type { Logger } from "../log.ts";
import { ApiClient } from "./client.ts";
import type { Connection } from "./connection.ts";
import { reflect } from "./reflector.ts";
import { RESOURCES } from "./resources.ts";
import type { Store } from "./store.ts";
import { SYSTEM_CLOCK } from "./system_clock.ts";
import { Throttle } from "./throttle.ts";
import { openUndiciTransport } from "./undici_transport.ts";
import { userAgent } from "./user_agent.ts";

/** What {@linkcode startApiSource} needs. */
export interface ApiSourceOptions {
  readonly connection: Connection;
  readonly store: Store;
  /** metadata.name of the Node of this host. */
  readonly nodeName: string;
  readonly clientConfig: Pick<ClientConnectionConfig, "qps" | "burst">;
  /** Commit this program was built from, for the user agent; "" when unknown. */
  readonly commit?: string;
  readonly log: Logger;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

/** A running source. */
export interface ApiSource {
  /** For {@linkcode startEventRecorder}. */
  readonly client: ApiClient;
  /** Resolves after the signal, when all connections are closed. Never rejects. */
  readonly done: Promise<void>;
}

/** Starts to follow the API server. Returns at once; wait with `store.whenSynced()`. */
export function startApiSource(options: ApiSourceOptions): ApiSource {
  const { connection, store, nodeName, log, signal } = options;
  const clock = SYSTEM_CLOCK;
  const client = new ApiClient({
    transport: openUndiciTransport(connection),
    authorization: connection.authorization,
    throttle: new Throttle({ ...options.clientConfig, clock }),
    userAgent: userAgent({ machine: Deno.build.arch, commit: options.commit ?? "" }),
  });
  const reflectors = RESOURCES.map((resource) =>
    reflect({ client, resource, nodeName, store, clock, log, signal })
  );
  return { client, done: Promise.all(reflectors).then(() => client.close()) };
}
