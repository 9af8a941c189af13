import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import type { EndpointSlice, SliceEndpoint } from "../model/objects.ts";
import { decodeObject } from "./decode.ts";
import type { JsonObject } from "./json.ts";
import { resourceOf } from "./resources.ts";

function decode(
  fields: JsonObject,
  metadata: JsonObject = {},
): { slice: EndpointSlice | undefined; problems: string } {
  const json = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: "web-1",
      namespace: "ns",
      labels: { "kubernetes.io/service-name": "web" },
      ...metadata,
    },
    addressType: "IPv4",
    ...fields,
  };
  const resource = resourceOf(json);
  if (resource === undefined) throw new TypeError("an EndpointSlice is a resource");
  const { change, note } = decodeObject(json, { resource, nodeName: "here" });
  if (change?.kind !== "EndpointSlice") throw new TypeError("a slice is a slice");
  return { slice: change.object, problems: String(note?.fields["problems"] ?? "") };
}

Deno.test("decodeSlice() reads every field", () => {
  const { slice, problems } = decode({
    ports: [{ name: "http", port: 8080, protocol: "TCP" }, { port: 53, protocol: "UDP" }],
    endpoints: [{
      addresses: ["10.0.0.01", "10.0.0.2"],
      conditions: { ready: false, serving: true, terminating: true },
      nodeName: "here",
      zone: "z",
      hints: { forZones: [{ name: "z" }, {}], forNodes: [{ name: "here" }] },
    }],
  }, {
    annotations: {
      "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-02T03:04:05.678901234Z",
    },
    labels: { "kubernetes.io/service-name": "web" },
  });
  strictEqual(problems, "");
  deepStrictEqual(slice, {
    namespace: "ns",
    name: "web-1",
    serviceName: "web",
    family: "IPv4",
    ports: [
      { name: "http", protocol: "TCP", port: 8080 },
      { name: "", protocol: "UDP", port: 53 },
    ],
    endpoints: [{
      ip: "10.0.0.1",
      nodeName: "here",
      ready: false,
      serving: true,
      terminating: true,
      zoneHints: ["z"],
      nodeHints: ["here"],
    }],
    triggerTimeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  });
});

const CONDITIONS: readonly (readonly [unknown, Partial<SliceEndpoint>])[] = [
  [undefined, { ready: true, serving: true, terminating: false }],
  [null, { ready: true, serving: true, terminating: false }],
  [{}, { ready: true, serving: true, terminating: false }],
  [{ ready: false }, { ready: false, serving: true, terminating: false }],
  [{ ready: null, serving: false }, { ready: true, serving: false, terminating: false }],
  [{ terminating: true }, { ready: true, serving: true, terminating: true }],
];
for (const [conditions, want] of CONDITIONS) {
  Deno.test(`decodeSlice() reads conditions ${JSON.stringify(conditions)}, EP-04`, () => {
    const { slice } = decode({ endpoints: [{ addresses: ["10.0.0.1"], conditions }] });
    const { ready, serving, terminating } = slice?.endpoints[0] ?? {};
    deepStrictEqual({ ready, serving, terminating }, want);
  });
}

const UNUSABLE: readonly (readonly [string, JsonObject, JsonObject, RegExp])[] = [
  ["without the label, EP-01", {}, { labels: {} }, /^metadata\.labels\[.*service-name\]: missing$/],
  ["of an unknown address type", { addressType: "FQDN" }, {}, /^addressType: .*: "FQDN"$/],
  ["without address type", { addressType: undefined }, {}, /^addressType: .*: null$/],
];
for (const [what, fields, metadata, problem] of UNUSABLE) {
  Deno.test(`decodeSlice() skips a slice ${what}`, () => {
    const { slice, problems } = decode(fields, metadata);
    strictEqual(slice, undefined);
    match(problems, problem);
  });
}

Deno.test("decodeSlice() skips a headless slice quietly, API-06", () => {
  const labels = { "kubernetes.io/service-name": "web", "service.kubernetes.io/headless": "" };
  deepStrictEqual(decode({}, { labels }), { slice: undefined, problems: "" });
});

Deno.test("decodeSlice() leaves out ports without a number, EP-03, and of unknown protocol", () => {
  const ports = [{ name: "a" }, { port: 0 }, { port: null }, { port: 9, protocol: "X" }, {
    port: 7,
  }];
  const { slice, problems } = decode({ ports });
  deepStrictEqual(slice?.ports, [{ name: "", protocol: "TCP", port: 7 }]);
  match(
    problems,
    /^ports\[0\]\.port: .*ports\[1\]\.port: .*ports\[2\]\.port: .*ports\[3\]\.protocol/,
  );
});

Deno.test("decodeSlice() leaves out endpoints without a usable address of the family", () => {
  const endpoints = [
    {},
    { addresses: [] },
    { addresses: ["fd00::1"] },
    { addresses: ["x"] },
    { addresses: ["10.0.0.1"] },
    null,
    { addresses: "10.0.0.1" },
  ];
  const { slice, problems } = decode({ endpoints });
  deepStrictEqual(slice?.endpoints.map((endpoint) => endpoint.ip), ["10.0.0.1"]);
  match(problems, /endpoints\[2\]\.addresses\[0\]: not IPv4: "fd00::1"; .*; and 1 more$/);
});

for (const time of ["", "yesterday", "1969-01-01T00:00:00Z"]) {
  Deno.test(`decodeSlice() has no trigger time when it says ${JSON.stringify(time)}`, () => {
    const annotations = { "endpoints.kubernetes.io/last-change-trigger-time": time };
    strictEqual(decode({}, { annotations }).slice?.triggerTimeMs, 0);
  });
}
