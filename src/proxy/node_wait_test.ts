import { ok, rejects, strictEqual } from "node:assert/strict";
import { nodeObject } from "../../test/support/builders.ts";
import { ManualClock } from "../../test/support/manual_clock.ts";
import type { DetectLocalMode } from "../config/types.ts";
import { Store } from "../kube/store.ts";
import { SILENT } from "../log.ts";
import { parseCidr } from "../model/ip.ts";
import type { NodeObject } from "../model/objects.ts";
import { waitForNode } from "./node_wait.ts";

const NODE = nodeObject();

function see(store: Store, ...nodes: readonly NodeObject[]): void {
  store.replace({ kind: "Node", objects: nodes });
}

class Rig {
  readonly clock = new ManualClock();
  readonly store = new Store();
  readonly controller = new AbortController();
  isDone = false;
  readonly result: Promise<NodeObject | undefined>;

  constructor(detectLocalMode: DetectLocalMode = "ClusterCIDR") {
    const { clock, store } = this;
    this.result = waitForNode({
      store,
      config: { detectLocalMode },
      nodeName: "here",
      clock,
      log: SILENT,
      signal: this.controller.signal,
    }).finally(() => this.isDone = true);
  }
}

Deno.test("waitForNode() waits for the API server as long as it takes, then has the node", async () => {
  const rig = new Rig();
  await rig.clock.elapse(600_000);
  ok(!rig.isDone);
  see(rig.store, NODE);
  await rig.clock.elapse(1_000);
  strictEqual(await rig.result, NODE);
});

Deno.test("waitForNode() goes on without a Node after 30 seconds (NODE-01)", async () => {
  const rig = new Rig();
  see(rig.store);
  await rig.clock.elapse(29_000);
  ok(!rig.isDone);
  await rig.clock.elapse(2_000);
  strictEqual(await rig.result, undefined);
});

Deno.test("waitForNode() waits for addresses", async () => {
  const rig = new Rig();
  see(rig.store, nodeObject({ addresses: [] }));
  await rig.clock.elapse(5_000);
  ok(!rig.isDone);
  see(rig.store, NODE);
  await rig.clock.elapse(1_000);
  strictEqual(await rig.result, NODE);
});

Deno.test("waitForNode() does not wait where the source has no Node", async () => {
  const rig = new Rig();
  see(rig.store);
  rig.store.declareNodeAbsent();
  await rig.clock.elapse(1_000);
  strictEqual(await rig.result, undefined);
});

Deno.test("waitForNode() waits for pod CIDRs in NodeCIDR mode, 5 minutes at most", async () => {
  const found = new Rig("NodeCIDR");
  see(found.store, NODE);
  await found.clock.elapse(200_000);
  ok(!found.isDone);
  see(found.store, nodeObject({ podCidrs: [parseCidr("10.0.0.0/24")] }));
  await found.clock.elapse(2_000);
  strictEqual((await found.result)?.podCidrs.length, 1);

  const missing = new Rig("NodeCIDR");
  see(missing.store, NODE);
  const refused = rejects(missing.result, /node "here" has no podCIDRs/);
  await missing.clock.elapse(320_000);
  await refused;
});

Deno.test("waitForNode() ends at the signal", async () => {
  const rig = new Rig();
  const aborted = rejects(rig.result, { name: "AbortError" });
  rig.controller.abort();
  await rig.clock.elapse(1_000);
  await aborted;
});
