import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { nodeObject } from "../../test/support/builders.ts";
import { ManualClock } from "../../test/support/manual_clock.ts";
import type { NodeObject } from "../model/objects.ts";
import { Healthz } from "./healthz.ts";
import { Readiness } from "./readiness.ts";

const ELIGIBLE = nodeObject();
const GONE = nodeObject({ deleting: true });
const TAINTED = nodeObject({ taints: ["ToBeDeletedByClusterAutoscaler"] });

class Rig {
  readonly clock = new ManualClock();
  node: NodeObject | undefined = ELIGIBLE;
  isStarted = true;
  readonly healthz = new Healthz({
    timeoutMs: 60_000,
    nowMs: () => this.clock.nowMs(),
    node: () => this.node,
    isStarted: () => this.isStarted,
  });

  get statuses(): readonly number[] {
    return [this.healthz.healthzReply().status, this.healthz.livezReply().status];
  }
}

Deno.test("Healthz answers one line of JSON with the fields of kube-proxy (HZ-02, HZ-03)", () => {
  const rig = new Rig();
  rig.healthz.synced("IPv4");
  rig.clock.advance(1_500);
  const reply = rig.healthz.healthzReply();
  deepStrictEqual(reply.headers, {
    "Content-Type": "application/json",
    "X-Content-Type-Options": "nosniff",
  });
  strictEqual(
    reply.body,
    '{"lastUpdated":"2026-01-01T00:00:01.5Z","currentTime":"2026-01-01T00:00:01.5Z",' +
      '"nodeEligible":true,"healthy":true,' +
      '"status":{"IPv4":{"lastUpdated":"2026-01-01T00:00:00Z","healthy":true}}}',
  );
  ok(!rig.healthz.livezReply().body.includes("nodeEligible"));
});

Deno.test("Healthz lists families in the order of Go", () => {
  const rig = new Rig();
  for (const family of ["IPv6", "IPv4"] as const) rig.healthz.synced(family);
  ok(/"IPv4".*"IPv6"/.test(rig.healthz.livezReply().body));
});

Deno.test("Healthz is red when an update waits for twice the sync period (HZ-04)", () => {
  const rig = new Rig();
  rig.healthz.queued("IPv4");
  rig.clock.advance(59_999);
  deepStrictEqual(rig.statuses, [200, 200]);
  rig.clock.advance(1);
  deepStrictEqual(rig.statuses, [503, 503]);
  rig.healthz.started("IPv4");
  deepStrictEqual(rig.statuses, [503, 503]);
  rig.healthz.synced("IPv4");
  deepStrictEqual(rig.statuses, [200, 200]);
});

Deno.test("Healthz counts from the oldest update, and one during a sync is another", () => {
  const rig = new Rig();
  rig.healthz.queued("IPv4");
  rig.healthz.started("IPv4");
  rig.clock.advance(30_000);
  rig.healthz.queued("IPv4");
  rig.healthz.synced("IPv4");
  rig.clock.advance(59_999);
  deepStrictEqual(rig.statuses, [200, 200]);
  rig.clock.advance(1);
  deepStrictEqual(rig.statuses, [503, 503]);
});

Deno.test("Healthz is red when one of two families is", () => {
  const rig = new Rig();
  rig.healthz.synced("IPv4");
  rig.healthz.queued("IPv6");
  rig.clock.advance(60_000);
  deepStrictEqual(rig.statuses, [503, 503]);
});

for (const [what, node] of [["is being deleted", GONE], ["is about to go", TAINTED]] as const) {
  Deno.test(`Healthz: /healthz is red for a node that ${what}, /livez is not (NODE-08)`, () => {
    const rig = new Rig();
    rig.node = node;
    deepStrictEqual(rig.statuses, [503, 200]);
  });
}

Deno.test("Healthz: /healthz is red until the node is known", () => {
  const rig = new Rig();
  rig.isStarted = false;
  deepStrictEqual(rig.statuses, [503, 200]);
});

Deno.test("Readiness says what is missing until nothing is", () => {
  const readiness = new Readiness(["node"]);
  readiness.need("first sync of IPv4");
  strictEqual(readiness.reply().status, 503);
  readiness.met("node");
  strictEqual(readiness.reply().body, '{"ready":false,"missing":["first sync of IPv4"]}');
  readiness.met("first sync of IPv4");
  deepStrictEqual([readiness.reply().status, readiness.reply().body], [
    200,
    '{"ready":true,"missing":[]}',
  ]);
});
