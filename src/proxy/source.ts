/**
 * Where objects come from: an API server, or manifests on this host.
 *
 * @module
 */

import type { KubeProxyConfiguration } from "../config/types.ts";
import { loadConnection } from "../kube/credentials.ts";
import { type EventRecorder, NO_EVENTS, startEventRecorder } from "../kube/events.ts";
import { startManifestSource } from "../kube/manifests.ts";
import type { Store } from "../kube/store.ts";
import type { Logger } from "../log.ts";
import type { Clock } from "./clock.ts";

/** What a source is started with. */
export interface SourceOptions {
  readonly config: Pick<KubeProxyConfiguration, "clientConnection">;
  /** File or directory; "": an API server. */
  readonly manifests: string;
  /** URL that replaces the server of the kubeconfig; "": none. */
  readonly master: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly nodeName: string;
  /** Of the machine: Events say who reports them (EV-04). */
  readonly hostname: string;
  /** Commit this program was built from. */
  readonly commit: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** A running source. */
export interface Source {
  readonly events: EventRecorder;
  /** Resolves some time after the signal. */
  readonly done: Promise<void>;
}

/** Starts to fill the store. Throws a ConfigError when there is no way to the objects. */
export async function startSource(options: SourceOptions): Promise<Source> {
  return options.manifests === "" ? await followServer(options) : await followManifests(options);
}

async function followServer(options: SourceOptions): Promise<Source> {
  const { config, master, environment, nodeName, store, clock, log, signal } = options;
  const { kubeconfig } = config.clientConnection;
  const connection = await loadConnection({ kubeconfig, master, environment, log });
  const clientConfig = config.clientConnection;
  // With manifests there is nobody to speak HTTP with: its library is not loaded then.
  const { startApiSource } = await import("../kube/api_source.ts");
  const { commit, hostname } = options;
  const source = startApiSource({
    connection,
    store,
    nodeName,
    clientConfig,
    commit,
    log,
    signal,
  });
  const { client, done } = source;
  const events = startEventRecorder({ client, hostname, clock, log, signal });
  return { events, done };
}

async function followManifests(options: SourceOptions): Promise<Source> {
  const { manifests: path, store, nodeName, log, signal } = options;
  const { done } = await startManifestSource({ path, store, nodeName, log, signal });
  return { events: NO_EVENTS, done };
}
