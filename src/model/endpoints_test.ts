import { deepStrictEqual } from "node:assert/strict";
import { service, slice, sliceEndpoint } from "../../test/support/builders.ts";
import { candidatesFor } from "./endpoints.ts";
import type { EndpointSlice, SliceEndpoint } from "./objects.ts";
import { servicePortName } from "./service.ts";

const HTTP = servicePortName(service(), { name: "http", protocol: "TCP" });
const OPTIONS = { name: HTTP, family: "IPv4", nodeName: "here" } as const;

function endpoints(slices: readonly EndpointSlice[], options = {}): unknown {
  return candidatesFor(slices, { ...OPTIONS, ...options }).map(({ endpoint }) => endpoint);
}

function texts(slices: readonly EndpointSlice[], options = {}): unknown {
  return candidatesFor(slices, { ...OPTIONS, ...options }).map(({ endpoint }) => endpoint.text);
}

Deno.test("EP-05 candidatesFor() carries the conditions and knows what is local", () => {
  const written = [
    sliceEndpoint("10.0.0.1", { nodeName: "here" }),
    sliceEndpoint("10.0.0.2", { ready: false, terminating: true }),
    sliceEndpoint("10.0.0.3", { nodeName: "", serving: false }),
  ];
  deepStrictEqual(endpoints([slice({ endpoints: written })]), [
    {
      ip: "10.0.0.1",
      port: 8080,
      text: "10.0.0.1:8080",
      isLocal: true,
      ready: true,
      serving: true,
      terminating: false,
    },
    {
      ip: "10.0.0.2",
      port: 8080,
      text: "10.0.0.2:8080",
      isLocal: false,
      ready: false,
      serving: true,
      terminating: true,
    },
    {
      ip: "10.0.0.3",
      port: 8080,
      text: "10.0.0.3:8080",
      isLocal: false,
      ready: true,
      serving: false,
      terminating: false,
    },
  ]);
});

Deno.test("EP-05 nothing is local to a node without a name", () => {
  const [candidate] = candidatesFor(
    [slice({ endpoints: [sliceEndpoint("10.0.0.1", { nodeName: "" })] })],
    { ...OPTIONS, nodeName: "" },
  );
  deepStrictEqual([candidate?.endpoint.isLocal], [false]);
});

Deno.test("EP-07 candidatesFor() orders by ip:port as text, IPv6 in brackets", () => {
  const four = ["10.0.0.9", "10.0.0.10", "9.0.0.1"].map((ip) => sliceEndpoint(ip));
  deepStrictEqual(texts([slice({ endpoints: four })]), [
    "10.0.0.10:8080",
    "10.0.0.9:8080",
    "9.0.0.1:8080",
  ]);
  const six = ["fd00::2", "fd00::10"].map((ip) => sliceEndpoint(ip));
  deepStrictEqual(texts([slice({ family: "IPv6", endpoints: six })], { family: "IPv6" }), [
    "[fd00::10]:8080",
    "[fd00::2]:8080",
  ]);
});

Deno.test("candidatesFor() takes the ports of that name and protocol in slices of the family", () => {
  const ports = [
    { name: "http", protocol: "TCP", port: 8080 },
    { name: "http", protocol: "UDP", port: 8081 },
    { name: "admin", protocol: "TCP", port: 8082 },
    { name: "", protocol: "TCP", port: 8083 },
  ] as const;
  const slices = [
    slice({ ports, endpoints: [sliceEndpoint("10.0.0.1")] }),
    slice({
      name: "web-2",
      ports: [{ name: "http", protocol: "TCP", port: 9090 }],
      endpoints: [sliceEndpoint("10.0.0.1"), sliceEndpoint("10.0.0.2")],
    }),
    slice({ name: "web-6", family: "IPv6", ports, endpoints: [sliceEndpoint("fd00::1")] }),
  ];
  deepStrictEqual(texts(slices), ["10.0.0.1:8080", "10.0.0.1:9090", "10.0.0.2:9090"]);
  const unnamed = servicePortName(service(), { name: "", protocol: "TCP" });
  deepStrictEqual(texts(slices, { name: unnamed }), ["10.0.0.1:8083"]);
});

Deno.test("candidatesFor() leaves out an address that is not of the family of its slice", () => {
  const written = [sliceEndpoint("fd00::1"), sliceEndpoint("10.0.0.1")];
  deepStrictEqual(texts([slice({ endpoints: written })]), ["10.0.0.1:8080"]);
});

const RIVALS: readonly [string, Partial<SliceEndpoint>, Partial<SliceEndpoint>][] = [
  ["one that stays beats one that terminates", { ready: false }, { terminating: true }],
  ["a ready one beats one that is not", {}, { ready: false }],
  ["a serving one beats one that is not", { ready: false }, { ready: false, serving: false }],
  ["a local one beats one elsewhere", { nodeName: "here" }, {}],
  ["else hints decide, whatever the order", { zoneHints: ["a"] }, { zoneHints: ["b"] }],
];
for (const [rule, winner, loser] of RIVALS) {
  Deno.test(`EP-06 the same address twice: ${rule}`, () => {
    const slices = [winner, loser].map((fields, i) =>
      slice({ name: `web-${i}`, endpoints: [sliceEndpoint("10.0.0.1", fields)] })
    );
    const { nodeName, zoneHints, ...conditions } = sliceEndpoint("10.0.0.1", winner);
    const { ready, serving, terminating } = conditions;
    const want = [{ isLocal: nodeName === "here", zoneHints, ready, serving, terminating }];
    for (const order of [slices, slices.toReversed()]) {
      const got = candidatesFor(order, OPTIONS).map((candidate) => ({
        isLocal: candidate.endpoint.isLocal,
        zoneHints: candidate.zoneHints,
        ready: candidate.endpoint.ready,
        serving: candidate.endpoint.serving,
        terminating: candidate.endpoint.terminating,
      }));
      deepStrictEqual(got, want);
    }
  });
}
