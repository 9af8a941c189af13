/**
 * The API server as a source of objects: one reflector for each of the four kinds.
 *
 * @module
 */

import type { ClientConnectionConfig } from "../config/types.ts";
import type { Logger } from "../log.ts";
import type { Connection } from "./connection.ts";
import type { Store } from "./store.ts";

/** What {@linkcode startApiSource} needs. */
export interface ApiSourceOptions {
  readonly connection: Connection;
  readonly store: Store;
  /** metadata.name of the Node of this host. */
  readonly nodeName: string;
  readonly clientConfig: Pick<ClientConnectionConfig, "qps" | "burst">;
  readonly log: Logger;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

/** A running source. */
export interface ApiSource {
  /** Resolves after the signal, when all connections are closed. Never rejects. */
  readonly done: Promise<void>;
}

/** Starts to follow the API server. Returns at once; wait with `store.whenSynced()`. */
export function startApiSource(options: ApiSourceOptions): ApiSource {
  throw new Error(`Cannot follow ${options.connection.server}: not built yet`);
}
