import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { nodeObject } from "../../test/support/builders.ts";
import type { Backend, Mode } from "../backend/contract.ts";
import { completeConfiguration } from "../config/complete.ts";
import type { Settings } from "../config/fields.ts";
import type { Host } from "../kernel/procfs/host.ts";
import { SILENT } from "../log.ts";
import { type IpFamily, parseCidr, parseIp } from "../model/ip.ts";
import { openFamilies, primaryFamily } from "./families.ts";

const BACKEND: Backend = {
  sync: () => Promise.reject(new Error("not here")),
  distrust() {},
  watch: () => Promise.resolve(),
  close() {},
};

function modeWithout(...missing: readonly IpFamily[]): Mode {
  return {
    name: "iptables",
    open: ({ family }) =>
      missing.includes(family)
        ? Promise.reject(new Error(`no tool for ${family}`))
        : Promise.resolve(BACKEND),
    cleanup: () => Promise.resolve([]),
  };
}

function host({ hasIpv6 }: { hasIpv6: boolean }): Host {
  return {
    sysctls: { read: () => undefined, ensure() {} },
    cpuCount: () => 1,
    hasIpv6: () => hasIpv6,
    setOomScoreAdj() {},
    conntrackHashSize: () => undefined,
    setConntrackHashSize() {},
  };
}

const PRIMARY: readonly (readonly [string, Settings, readonly string[], IpFamily])[] = [
  ["its first address", {}, ["fd00::1", "192.168.0.2"], "IPv6"],
  ["its first address", {}, ["192.168.0.2", "fd00::1"], "IPv4"],
  ["no address", {}, [], "IPv4"],
  ["bindAddress before addresses", { bindAddress: "fd00::9" }, ["192.168.0.2"], "IPv6"],
  ["addresses with bindAddress ::", { bindAddress: "::" }, ["192.168.0.2"], "IPv4"],
];

for (const [what, settings, addresses, want] of PRIMARY) {
  Deno.test(`primaryFamily() is ${want} by ${what}`, () => {
    const node = nodeObject({ addresses: addresses.map(parseIp) });
    strictEqual(primaryFamily(completeConfiguration(settings), node), want);
  });
}

const BOTH = { hasIpv6: true };
const NO_IPV6 = { hasIpv6: false };

const OPENED = [
  ["both where both work", BOTH, [], ["IPv4", "IPv6"]],
  ["one when the tool of the other is missing", BOTH, ["IPv6"], ["IPv4"]],
  ["one when the kernel has no IPv6", NO_IPV6, [], ["IPv4"]],
] as const;

for (const [what, kernel, missing, want] of OPENED) {
  Deno.test(`openFamilies() opens ${what} (NODE-11)`, async () => {
    const families = await openFamilies({
      mode: modeWithout(...missing),
      config: completeConfiguration({}),
      host: host(kernel),
      node: nodeObject(),
      log: SILENT,
    });
    deepStrictEqual(families.map(({ family }) => family), want);
  });
}

const FATAL: readonly (readonly [string, Mode, Settings, RegExp])[] = [
  ["its primary family", modeWithout("IPv4"), {}, /no tool for IPv4/],
  [
    "a clusterCIDR of its family",
    modeWithout("IPv6"),
    { clusterCIDR: "fd00:10::/48" },
    /Cannot use clusterCIDR: no range of IPv4/,
  ],
  [
    "podCIDRs of its family",
    modeWithout("IPv6"),
    { detectLocalMode: "NodeCIDR" },
    /Cannot use podCIDRs: no range of IPv4/,
  ],
];

for (const [what, mode, settings, message] of FATAL) {
  Deno.test(`openFamilies() refuses to go on without ${what}`, async () => {
    await rejects(
      openFamilies({
        mode,
        config: completeConfiguration(settings),
        host: host(BOTH),
        node: nodeObject({ podCidrs: [parseCidr("fd00:10::/64")] }),
        log: SILENT,
      }),
      { message },
    );
  });
}
