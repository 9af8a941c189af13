import { deepStrictEqual } from "node:assert/strict";
import { readPackets } from "./packet_counters.ts";

const CAPABILITIES = { randomFully: true, dropsInvalid: true };
const COUNTERS = new Map([["ct_state_invalid_dropped_pkts", 7], [
  "localhost_nps_accepted_pkts",
  9,
]]);
const INVALID = "kubeproxy_iptables_ct_state_invalid_dropped_packets_total";
const LOCALHOST = "kubeproxy_iptables_localhost_nodeports_accepted_packets_total";

const ROWS = [
  ["both", { invalidCounter: true, localhostCounter: true }, { [INVALID]: 7, [LOCALHOST]: 9 }],
  ["INVALID alone", { invalidCounter: true, localhostCounter: false }, { [INVALID]: 7 }],
  ["none", { invalidCounter: false, localhostCounter: false }, {}],
] as const;
for (const [what, kept, want] of ROWS) {
  Deno.test(`readPackets() with ${what} kept by the kernel`, () => {
    const packets = readPackets((name) => COUNTERS.get(name), { ...CAPABILITIES, ...kept });
    deepStrictEqual(packets, want);
  });
}

Deno.test("readPackets() leaves out a counter that somebody deleted", () => {
  const capabilities = { ...CAPABILITIES, invalidCounter: true, localhostCounter: true };
  deepStrictEqual(readPackets(() => undefined, capabilities), {});
});
