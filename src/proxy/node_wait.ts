/**
 * Waiting for the Node of this host (NODE-01): up to 30 seconds for its addresses, then on with
 * loopback; up to 5 minutes for its pod CIDRs in NodeCIDR mode, without which local traffic cannot
 * be told from other.
 *
 * @module
 */

import type { KubeProxyConfiguration } from "../config/types.ts";
import type { Store } from "../kube/store.ts";
import type { Logger } from "../log.ts";
import type { NodeObject } from "../model/objects.ts";
import type { Clock } from "./clock.ts";

const ADDRESSES_MS = 30_000;
const POD_CIDRS_MS = 5 * 60_000;
const POLL_MS = 1_000;

/** What the wait needs. */
export interface NodeWaitOptions {
  readonly store: Store;
  readonly config: Pick<KubeProxyConfiguration, "detectLocalMode">;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** This node, or undefined when there is none. Throws when NodeCIDR mode has no pod CIDR. */
export async function waitForNode(options: NodeWaitOptions): Promise<NodeObject | undefined> {
  const { store, nodeName, log, signal } = options;
  await whenListed(options);
  const deadline = timeLimit(ADDRESSES_MS, options);
  const node = await store.whenNode(deadline.signal);
  deadline.clear();
  signal.throwIfAborted();
  if (node === undefined) log.warn("Node not found, going on without it", { node: nodeName });
  if (options.config.detectLocalMode === "NodeCIDR") await waitForPodCidrs(options);
  return store.node;
}

/** The clock starts when the API server has answered: until then there is nothing to miss. */
async function whenListed({ store, clock, signal }: NodeWaitOptions): Promise<void> {
  while (!store.hasSyncedKind("Node") && store.node === undefined) {
    if (store.hasSynced()) return; // a source without Nodes
    await clock.sleep(POLL_MS / 10, signal);
    signal.throwIfAborted();
  }
}

async function waitForPodCidrs(options: NodeWaitOptions): Promise<void> {
  const { store, nodeName, clock, signal } = options;
  const endMs = clock.monotonicMs() + POD_CIDRS_MS;
  while ((store.node?.podCidrs.length ?? 0) === 0) {
    if (clock.monotonicMs() >= endMs) {
      throw new Error(`Cannot detect local traffic: node "${nodeName}" has no podCIDRs`);
    }
    await clock.sleep(POLL_MS, signal);
    signal.throwIfAborted();
  }
}

function timeLimit(
  ms: number,
  { clock, signal }: NodeWaitOptions,
): { signal: AbortSignal; clear: () => void } {
  const controller = new AbortController();
  const end = () => controller.abort();
  signal.addEventListener("abort", end, { once: true });
  void clock.sleep(ms, controller.signal).then(end);
  return {
    signal: controller.signal,
    clear: () => {
      signal.removeEventListener("abort", end);
      end();
    },
  };
}
