import { deepStrictEqual } from "node:assert/strict";
import { service } from "../../test/support/builders.ts";
import { formatCidr, parseCidr, parseIp } from "./ip.ts";
import type { IpFamily } from "./ip.ts";
import type { Service } from "./objects.ts";
import { servicePortName, servicePorts } from "./service.ts";

const V4 = { family: "IPv4", allowExternalIps: true } as const;
const V6 = { family: "IPv6", allowExternalIps: true } as const;

const NAMES = [
  ["http", "TCP", "ns/web:http", "ns/web:http/TCP"],
  ["", "UDP", "ns/web", "ns/web/UDP"],
] as const;
for (const [name, protocol, text, key] of NAMES) {
  Deno.test(`SVC-02 servicePortName() of port "${name}" is ${text}, its key ${key}`, () => {
    deepStrictEqual(servicePortName(service(), { name, protocol }), {
      namespace: "ns",
      name: "web",
      port: name,
      protocol,
      service: "ns/web",
      text,
      key,
    });
  });
}

Deno.test("SVC-02 servicePorts() makes one ServicePort of each port", () => {
  const ports = servicePorts(
    service({
      ports: [
        { name: "http", protocol: "TCP", port: 80, nodePort: 30080 },
        { name: "http", protocol: "UDP", port: 80, nodePort: 0 },
      ],
      affinitySeconds: 10800,
    }),
    V4,
  );
  deepStrictEqual(
    ports.map(({ name, port, nodePort, affinitySeconds, externallyAccessible }) => [
      name.key,
      port,
      nodePort,
      affinitySeconds,
      externallyAccessible,
    ]),
    [
      ["ns/web:http/TCP", 80, 30080, 10800, true],
      ["ns/web:http/UDP", 80, 0, 10800, false],
    ],
  );
});

const DUAL = service({
  clusterIps: [parseIp("fd00::1"), parseIp("172.30.0.1")],
  externalIps: [parseIp("203.0.113.1"), parseIp("2001:db8::1"), parseIp("203.0.113.1")],
  loadBalancerIps: [parseIp("2001:db8::2"), parseIp("203.0.113.2")],
});

Deno.test("SVC-03, SVC-05, SVC-06 servicePorts() takes the addresses of its family, each once", () => {
  const addresses = [V4, V6].map((options) =>
    servicePorts(DUAL, options).map((port) => [
      port.clusterIp,
      port.externalIps,
      port.loadBalancerVips,
    ])
  );
  deepStrictEqual(addresses, [
    [["172.30.0.1", ["203.0.113.1"], ["203.0.113.2"]]],
    [["fd00::1", ["2001:db8::1"], ["2001:db8::2"]]],
  ]);
});

Deno.test("SVC-03 servicePorts() is empty without a ClusterIP of the family", () => {
  deepStrictEqual(servicePorts(service(), V6), []);
});

const RANGES = [
  [[], "IPv4", []],
  [["203.0.113.0/25", "198.51.100.7/32"], "IPv4", ["203.0.113.0/25", "198.51.100.7/32"]],
  [["203.0.113.0/25", "2001:db8::/32"], "IPv6", ["2001:db8::/32"]],
  [["203.0.113.0/25", "0.0.0.0/0"], "IPv4", []],
  [["203.0.113.0/25", "::/0"], "IPv4", ["203.0.113.0/25"]],
  [["203.0.113.0/25"], "IPv6", []],
] as const;
for (const [ranges, family, want] of RANGES) {
  Deno.test(`SVC-07 source ranges of ${family} in [${ranges}] are [${want}]`, () => {
    const [port] = servicePorts(
      service({
        clusterIps: [parseIp("172.30.0.1"), parseIp("fd00::1")],
        loadBalancerSourceRanges: ranges.map(parseCidr),
      }),
      { family, allowExternalIps: true },
    );
    deepStrictEqual(port?.loadBalancerSourceRanges.map(formatCidr), want);
  });
}

const HEALTH_CHECKS: readonly [Service["type"], Service["externalTrafficPolicy"], number][] = [
  ["LoadBalancer", "Local", 31000],
  ["LoadBalancer", "Cluster", 0],
  ["NodePort", "Local", 0],
  ["ClusterIP", "Local", 0],
];
for (const [type, externalTrafficPolicy, want] of HEALTH_CHECKS) {
  Deno.test(`SVC-08 health check port of ${type} with policy ${externalTrafficPolicy}: ${want}`, () => {
    const [port] = servicePorts(
      service({ type, externalTrafficPolicy, healthCheckNodePort: 31000 }),
      V4,
    );
    deepStrictEqual(port?.healthCheckNodePort, want);
  });
}

const ACCESSIBLE: readonly [string, Partial<Service>, IpFamily, boolean][] = [
  ["only a ClusterIP", {}, "IPv4", false],
  [
    "a node port",
    {
      ports: [{ name: "", protocol: "TCP", port: 80, nodePort: 30080 }],
    },
    "IPv4",
    true,
  ],
  ["an external IP", { externalIps: [parseIp("203.0.113.1")] }, "IPv4", true],
  [
    "an external IP of the other family",
    {
      externalIps: [parseIp("2001:db8::1")],
    },
    "IPv4",
    false,
  ],
  ["a load-balancer VIP", { loadBalancerIps: [parseIp("203.0.113.1")] }, "IPv4", true],
];
for (const [what, fields, family, want] of ACCESSIBLE) {
  Deno.test(`SVC-09 externallyAccessible is ${want} with ${what}`, () => {
    const [port] = servicePorts(service(fields), { family, allowExternalIps: true });
    deepStrictEqual(port?.externallyAccessible, want);
  });
}

Deno.test("SVC-05, SVC-09 the gate removes external IPs, but they still count as a way in", () => {
  const [port] = servicePorts(service({ externalIps: [parseIp("203.0.113.1")] }), {
    family: "IPv4",
    allowExternalIps: false,
  });
  deepStrictEqual([port?.externalIps, port?.externallyAccessible], [[], true]);
});
