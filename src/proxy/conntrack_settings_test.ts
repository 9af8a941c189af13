import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { completeConfiguration } from "../config/complete.ts";
import type { Settings } from "../config/fields.ts";
import type { Host } from "../kernel/procfs/host.ts";
import { applyConntrackSettings, wantedMax } from "./conntrack_settings.ts";

const MAX = "net/netfilter/nf_conntrack_max";

/** A host whose sysctls are a map; what is in `readOnly` cannot be written. */
class FakeHost implements Host {
  readonly values: Map<string, string>;
  readonly #readOnly: ReadonlySet<string>;
  hashSize = 65_536;

  constructor(values: Readonly<Record<string, string>>, readOnly: readonly string[] = []) {
    this.values = new Map(Object.entries(values));
    this.#readOnly = new Set(readOnly);
  }

  readonly sysctls = {
    read: (name: string): string | undefined => this.values.get(name),
    ensure: (name: string, value: string): void => {
      if (this.#readOnly.has(name)) throw new Error(`${name} is read-only`);
      this.values.set(name, value);
    },
  };

  cpuCount(): number {
    return 4;
  }
  hasIpv6(): boolean {
    return true;
  }
  setOomScoreAdj(): void {}
  conntrackHashSize(): number {
    return this.hashSize;
  }
  setConntrackHashSize(buckets: number): void {
    this.hashSize = buckets;
  }
}

function conntrack(settings: Settings) {
  return completeConfiguration(settings).conntrack;
}

const MAXIMA: readonly (readonly [string, Settings, number, number])[] = [
  ["the minimum on few CPUs", {}, 2, 131_072],
  ["CPUs on more", {}, 8, 262_144],
  ["the cap on many, whatever the minimum", { "conntrack.min": 2_000_000 }, 64, 1_048_576],
  ["nothing when switched off", { "conntrack.maxPerCore": 0 }, 64, 0],
];

for (const [what, settings, cpus, want] of MAXIMA) {
  Deno.test(`wantedMax() is ${want}: ${what}`, () => {
    strictEqual(wantedMax(conntrack(settings), cpus), want);
  });
}

Deno.test("applyConntrackSettings() raises the maximum and the buckets", () => {
  const host = new FakeHost({ [MAX]: "65536" });
  host.hashSize = 16_384;
  deepStrictEqual(applyConntrackSettings(conntrack({}), host), []);
  strictEqual(host.values.get(MAX), "131072");
  strictEqual(host.hashSize, 32_768);
});

Deno.test("applyConntrackSettings() never lowers the maximum (CT-07)", () => {
  const host = new FakeHost({ [MAX]: "262144" });
  applyConntrackSettings(conntrack({}), host);
  strictEqual(host.values.get(MAX), "262144");
  strictEqual(host.hashSize, 65_536);
});

Deno.test("applyConntrackSettings() writes timeouts in seconds, zeros not", () => {
  const host = new FakeHost({ [MAX]: "131072" });
  const settings = {
    "conntrack.tcpEstablishedTimeout": 10_800_000,
    "conntrack.tcpCloseWaitTimeout": 0,
    "conntrack.tcpBeLiberal": true,
    "conntrack.udpTimeout": 40_000,
    "conntrack.udpStreamTimeout": 200_000,
  };
  applyConntrackSettings(conntrack(settings), host);
  host.values.delete(MAX);
  deepStrictEqual(Object.fromEntries(host.values), {
    "net/netfilter/nf_conntrack_tcp_timeout_established": "10800",
    "net/netfilter/nf_conntrack_udp_timeout": "40",
    "net/netfilter/nf_conntrack_udp_timeout_stream": "200",
    "net/netfilter/nf_conntrack_tcp_be_liberal": "1",
  });
});

Deno.test("applyConntrackSettings() goes on after one that cannot be written", () => {
  const host = new FakeHost({ [MAX]: "1" }, [MAX]);
  const failures = applyConntrackSettings(conntrack({}), host);
  deepStrictEqual(failures.map(({ message }) => message), [`${MAX} is read-only`]);
  strictEqual(host.values.get("net/netfilter/nf_conntrack_tcp_timeout_established"), "86400");
});
