/**
 * The servers of the node and the states behind them: health, readiness, metrics, and the health
 * checks of Services.
 *
 * @module
 */

import type { KubeProxyConfiguration } from "../config/types.ts";
import type { Store } from "../kube/store.ts";
import type { Logger } from "../log.ts";
import { Healthz } from "../server/healthz.ts";
import type { HttpHandler, Listen } from "../server/http.ts";
import { Metrics } from "../server/metrics.ts";
import { Readiness } from "../server/readiness.ts";
import { healthHandler, metricsHandler } from "../server/routes.ts";
import { serve } from "../server/serve.ts";
import type { Clock } from "./clock.ts";
import { syncPeriods } from "./periods.ts";

/** What servers are started with. */
export interface ServersOptions {
  readonly config: KubeProxyConfiguration;
  readonly isInitOnly: boolean;
  readonly store: Store;
  readonly listen: Listen;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** What the rest of the shell tells and asks. */
export interface Servers {
  readonly healthz: Healthz;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  /** Resolves after the signal, when ports are free. */
  readonly done: Promise<void>;
  /** Rejects when a port cannot be bound and the configuration calls that the end. */
  readonly failed: Promise<never>;
}

/** Starts to serve, unless nothing is to be served. */
export function startServers(options: ServersOptions): Servers {
  const { config, store, clock } = options;
  const metrics = new Metrics(config.mode);
  const readiness = new Readiness(["node", "first sync"]);
  const healthz = new Healthz({
    timeoutMs: 2 * syncPeriods(config).syncMs,
    nowMs: () => clock.nowMs(),
    node: () => store.node,
    isStarted: () => !readiness.isMissing("node"),
  });
  const running = options.isInitOnly ? [] : [
    serveOne("healthz", config.healthzBindAddress, {
      ...options,
      handler: healthHandler({ healthz, readiness, metrics }),
    }),
    serveOne("metrics", config.metricsBindAddress, {
      ...options,
      handler: metricsHandler({ metrics, mode: config.mode }),
    }),
  ];
  const done = Promise.all(running);
  return {
    healthz,
    readiness,
    metrics,
    done: done.then(() => {}, () => {}), // `failed` tells
    failed: new Promise((_resolve, reject) => done.catch(reject)),
  };
}

async function serveOne(
  name: string,
  bindAddress: string,
  options: ServersOptions & { readonly handler: HttpHandler },
): Promise<void> {
  if (bindAddress === "") return;
  const { config, log, listen, handler, signal } = options;
  await serve({
    bindAddress,
    handler,
    listen,
    signal,
    sleep: (ms, until) => options.clock.sleep(ms, until),
    onListening: () => log.v(2, "Listening", { server: name, bindAddress }),
    onFailure: (error) => {
      if (config.bindAddressHardFail) {
        throw new Error(`Cannot listen on ${bindAddress} for ${name}`, { cause: error });
      }
      log.error("Cannot listen, trying again", { server: name, bindAddress, error });
    },
  });
}
