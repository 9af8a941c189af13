/**
 * Trouble with the API server: whatever it does wrong, no change is lost and no rule is taken away.
 *
 * Run by `deno run -A test/e2e/run.ts --mode MODE`.
 */

import { equal } from "node:assert/strict";
import type { Fault } from "../support/apiserver/mod.ts";
import { eventually } from "../support/vipd.ts";
import { type Cluster, MODE, openCluster } from "./cluster.ts";
import { service, slice } from "./objects.ts";
import { ADDRESSES, type Pod } from "./topology.ts";

const TARGET = {
  protocol: "tcp",
  host: ADDRESSES.IPv4.service(30),
  port: 80,
  timeoutMs: 300,
} as const;

let cluster: Cluster;

Deno.test.beforeAll(async () => {
  cluster = await openCluster();
  cluster.server.apply(service("web", { clusterIP: TARGET.host }), slicesOf("pod-b"));
  await follows("pod-b");
});

Deno.test.afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

function slicesOf(pod: Pod): object {
  return slice("web", { family: "IPv4", pods: [pod] });
}

async function answeringPod(): Promise<string> {
  const answer = await cluster.probe("pod-a", TARGET);
  return answer.kind === "answer" ? answer.by : answer.kind;
}

async function follows(pod: Pod): Promise<void> {
  await eventually(`${pod} answers`, async () => {
    return await answeringPod() === pod ? true : undefined;
  }, { timeoutMs: 45_000 });
}

function trouble(title: string, fn: () => Promise<void>): void {
  Deno.test({
    name: `${MODE}: ${title}`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      cluster.server.faults.clear();
      await cluster.restart("SIGTERM"); // trouble in a row is waited for longer and longer
      await fn();
    },
  });
}

const AT_REQUESTS: readonly (readonly [string, Fault])[] = [
  ["answers 500", { kind: "error", code: 500, count: 1 }],
  ["answers 503", { kind: "error", code: 503, count: 1 }],
  ["answers 429", { kind: "error", code: 429, retryAfterSeconds: 1, count: 1 }],
  ["answers 410", { kind: "expired", count: 1 }],
  ["closes the connection", { kind: "drop", count: 1 }],
  ["cuts answers in the middle", { kind: "truncate", count: 1 }],
  ["answers HTML", { kind: "garbage", count: 1 }],
  ["answers nothing", { kind: "end", count: 1 }],
];

for (const [title, fault] of AT_REQUESTS) {
  trouble(`an API server that ${title} after it dropped all watches`, async () => {
    const next = await answeringPod() === "pod-b" ? "far-1" : "pod-b";
    const armed = cluster.server.faults.add({ ...fault, resource: "endpointslices" });
    cluster.server.stopWatches("drop");
    cluster.server.apply(slicesOf(next));
    await follows(next);
    equal(armed.strikes, 1);
  });
}

const AT_EVENTS: readonly (readonly [string, Fault])[] = [
  ["an ERROR of 500", { kind: "error", code: 500, at: "event", count: 1 }],
  ["an ERROR of 410", { kind: "expired", at: "event", count: 1 }],
  ["a reset connection", { kind: "drop", at: "event", count: 1 }],
  ["a clean end", { kind: "end", at: "event", count: 1 }],
  ["half an event", { kind: "truncate", at: "event", count: 1 }],
  ["a line that is not JSON", { kind: "garbage", at: "event", count: 1 }],
];

for (const [title, fault] of AT_EVENTS) {
  trouble(`a watch with ${title} in the place of an event`, async () => {
    const next = await answeringPod() === "pod-b" ? "far-1" : "pod-b";
    const armed = cluster.server.faults.add({ ...fault, resource: "endpointslices" });
    cluster.server.apply(slicesOf(next));
    await follows(next);
    equal(armed.strikes, 1);
  });
}

trouble("an API server that forgets the past while the watches are down", async () => {
  const next = await answeringPod() === "pod-b" ? "far-1" : "pod-b";
  const armed = cluster.server.faults.add({ kind: "drop", resource: "endpointslices", count: 1 });
  cluster.server.stopWatches("drop");
  cluster.server.apply(slicesOf(next));
  cluster.server.compact();
  await follows(next);
  equal(armed.strikes, 1);
});

trouble("an API server that is away for some seconds", async () => {
  const before = await answeringPod();
  const next = before === "pod-b" ? "far-1" : "pod-b";
  await cluster.server.pause();
  cluster.server.apply(slicesOf(next));
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  equal(await answeringPod(), before, "rules stay");
  equal(await cluster.health("/livez"), 200);
  await cluster.server.resume();
  await follows(next);
});

trouble("a service that was deleted while the watches were down", async () => {
  cluster.server.faults.add({ kind: "drop", count: 2 });
  cluster.server.stopWatches("drop");
  cluster.server.delete({ apiVersion: "v1", kind: "Service", namespace: "flows", name: "web" });
  cluster.server.compact();
  await eventually("nobody answers", async () => {
    return ["silence", "refused"].includes(await answeringPod()) || undefined;
  }, { timeoutMs: 45_000 });
  cluster.server.apply(service("web", { clusterIP: TARGET.host }));
  cluster.server.apply(slicesOf("pod-b"));
  await follows("pod-b");
});
