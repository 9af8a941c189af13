/**
 * What a watch event costs from its bytes to the store, for slices of 10 endpoints with everything
 * an API server puts around them. Budget, on a 2-core machine of the kind in PERFORMANCE.md:
 * 40 µs for one event; 10,000 of them, as a list, 500 ms.
 *
 *     deno bench test/bench/watch_decode_bench.ts
 *
 * @module
 */

import { Intake } from "../../src/kube/intake.ts";
import { splitLines } from "../../src/kube/lines.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { Store } from "../../src/kube/store.ts";
import { decodeWatchEvent } from "../../src/kube/watch_event.ts";
import { SILENT } from "../../src/log.ts";

const SLICES = 10_000;
const ENDPOINTS = 10;
/** A TLS record. */
const CHUNK_BYTES = 16_384;

function sliceJson(number: number): object {
  const name = `service-${number}`;
  return {
    kind: "EndpointSlice",
    apiVersion: "discovery.k8s.io/v1",
    metadata: {
      name: `${name}-abcde`,
      namespace: "ns",
      resourceVersion: String(number),
      labels: { "kubernetes.io/service-name": name },
      annotations: {
        "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00.123456789Z",
      },
      managedFields: [{ manager: "kube-controller-manager", fieldsV1: { "f:ports": {} } }],
      ownerReferences: [{ apiVersion: "v1", kind: "Service", name, uid: "u", controller: true }],
    },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: Array.from({ length: ENDPOINTS }, (_, i) => ({
      addresses: [`10.${i}.${number >> 8}.${number & 255}`],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: `worker-${(number + i) % 500}.example.org`,
      targetRef: { kind: "Pod", namespace: "ns", name: `${name}-${i}`, uid: "u" },
      zone: "zone-a",
    })),
  };
}

const text = Array.from(
  { length: SLICES },
  (_, number) => JSON.stringify({ type: "ADDED", object: sliceJson(number) }) + "\n",
);
const bytes = new TextEncoder().encode(text.join(""));
const resource = RESOURCES.find(({ kind }) => kind === "EndpointSlice");
if (resource === undefined) throw new TypeError("no resource");
const intake = new Intake({ store: new Store(), resource, nodeName: "here", log: SILENT });

function take(line: string): void {
  const event = decodeWatchEvent(line);
  if (event.kind !== "object") throw new TypeError(`not an object: ${line}`);
  intake.take(event.json);
}

async function* chunks(): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    yield bytes.subarray(start, start + CHUNK_BYTES);
  }
  await Promise.resolve();
}

Deno.bench("one event to the store, nothing new in it", () => take(text[0] ?? ""));

Deno.bench("10,000 events as a list to the store, from bytes", { n: 10, warmup: 1 }, async () => {
  intake.beginList();
  for await (const line of splitLines(chunks())) take(line);
  intake.completeList();
});
