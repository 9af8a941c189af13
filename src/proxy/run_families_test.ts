/**
 * The loops of both families over fake backends and a clock that the test turns: failures are
 * retried, visible, and stay in their family.
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { service, slice, sliceEndpoint } from "../../test/support/builders.ts";
import { ManualClock } from "../../test/support/manual_clock.ts";
import type { Backend, SyncReport } from "../backend/contract.ts";
import { completeConfiguration } from "../config/complete.ts";
import type { ProxyEvent } from "../kube/events.ts";
import { Store } from "../kube/store.ts";
import { SILENT } from "../log.ts";
import { IP_FAMILIES, type IpFamily, parseIp } from "../model/ip.ts";
import type { Plan } from "../model/plan.ts";
import { HostAddresses } from "./host_addresses.ts";
import { runFamilies } from "./run_families.ts";
import { startServers } from "./servers.ts";

const REPORT: SyncReport = {
  full: true,
  servicesChanged: 0,
  bytesWritten: 7,
  processes: 1,
  quarantined: [],
};

/** Keeps the plans it was given; fails as often as it is told to. */
class FakeBackend implements Backend {
  readonly plans: Plan[] = [];
  failures = 0;
  attempts = 0;
  distrusted = 0;
  isClosed = false;
  report = REPORT;
  onDrift: ((what: string) => void) | undefined;

  sync(plan: Plan): Promise<SyncReport> {
    this.attempts++;
    if (this.failures-- > 0) return Promise.reject(new Error("iptables-restore is missing"));
    this.plans.push(plan);
    return Promise.resolve(this.report);
  }

  distrust(): void {
    this.distrusted++;
  }

  watch(onDrift: (what: string) => void, { signal }: { signal: AbortSignal }): Promise<void> {
    this.onDrift = onDrift;
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
  }

  close(): void {
    this.isClosed = true;
  }
}

/** The shell without a kernel, an API server and a network. */
class Rig {
  readonly clock = new ManualClock();
  readonly store = new Store();
  readonly backends: Readonly<Record<IpFamily, FakeBackend>> = {
    IPv4: new FakeBackend(),
    IPv6: new FakeBackend(),
  };
  readonly events: ProxyEvent[] = [];
  readonly controller = new AbortController();
  readonly servers: ReturnType<typeof startServers>;
  addresses = [{ interfaceName: "eth0", ip: parseIp("192.168.0.2") }];
  readyCount = 0;
  #running: Promise<void> | undefined;

  constructor() {
    const { clock, store } = this;
    this.servers = startServers({
      config: completeConfiguration({}),
      isInitOnly: true,
      store,
      listen: () => Promise.reject(new Error("not here")),
      clock,
      log: SILENT,
      signal: this.controller.signal,
    });
    this.servers.readiness.met("node");
  }

  start(): void {
    const { clock, store, servers } = this;
    this.#running = runFamilies({
      config: completeConfiguration({}),
      nodeName: "here",
      store,
      families: IP_FAMILIES.map((family) => ({ family, backend: this.backends[family] })),
      servers,
      events: { record: (event) => void this.events.push(event) },
      hostAddresses: new HostAddresses(() => this.addresses),
      listen: () => Promise.reject(new Error("port is taken")),
      openConntrack: () => Promise.reject(new Error("libnl is missing")),
      clock,
      log: SILENT,
      signal: this.controller.signal,
      onReady: () => {
        this.readyCount++;
        servers.readiness.met("first sync");
      },
    });
  }

  syncStore(): void {
    this.store.replace({ kind: "ServiceCIDR", objects: [] });
    this.store.replace({ kind: "Service", objects: [service()] });
    this.store.replace({ kind: "EndpointSlice", objects: [] });
  }

  addEndpoint(ip: string, triggerTimeMs = 0): void {
    const object = slice({ endpoints: [sliceEndpoint(ip)], triggerTimeMs });
    this.store.apply({ kind: "EndpointSlice", key: "ns/web-1", object });
  }

  async metric(line: string): Promise<string | undefined> {
    const text = await this.servers.metrics.text();
    return text.split("\n").find((each) => each.startsWith(`${line} `))?.split(" ").at(-1);
  }

  async end(): Promise<void> {
    this.controller.abort();
    await this.clock.elapse(1_000);
    await this.#running;
  }
}

const FAILURES = 'kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv4"}';

Deno.test("runFamilies() writes nothing before Services and slices are known (SYNC-05)", async () => {
  const rig = new Rig();
  rig.start();
  rig.store.replace({ kind: "Service", objects: [service()] });
  await rig.clock.elapse(60_000);
  strictEqual(rig.backends.IPv4.attempts, 0);
  strictEqual(rig.servers.readiness.reply().status, 503);
  match(rig.servers.readiness.reply().body, /first sync of IPv4/);
  await rig.clock.elapse(60_000);
  strictEqual(rig.servers.healthz.livezReply().status, 200, "as kube-proxy (SYNC-13)");
  rig.store.replace({ kind: "EndpointSlice", objects: [] });
  await rig.clock.elapse(1_000);
  deepStrictEqual([...rig.backends.IPv4.plans[0]?.services.keys() ?? []], ["ns/web:http/TCP"]);
  strictEqual(rig.servers.readiness.reply().status, 200);
  strictEqual(rig.readyCount, 1);
  await rig.end();
});

Deno.test("runFamilies() retries a failed first sync and tells of it", async () => {
  const rig = new Rig();
  rig.backends.IPv4.failures = 3;
  rig.start();
  rig.syncStore();
  await rig.clock.elapse(300);
  strictEqual(await rig.metric(FAILURES), "2");
  strictEqual(rig.servers.readiness.reply().status, 503);
  await rig.clock.elapse(5_000);
  strictEqual(rig.backends.IPv4.plans.length, 1);
  strictEqual(await rig.metric(FAILURES), "3");
  strictEqual(rig.servers.readiness.reply().status, 200);
  await rig.end();
});

Deno.test("runFamilies() becomes unhealthy while a family keeps failing, and recovers", async () => {
  const rig = new Rig();
  rig.backends.IPv4.failures = Infinity;
  rig.start();
  rig.syncStore();
  await rig.clock.elapse(59_000);
  strictEqual(rig.servers.healthz.healthzReply().status, 200);
  await rig.clock.elapse(2_000);
  strictEqual(rig.servers.healthz.healthzReply().status, 503);
  match(rig.servers.healthz.healthzReply().body, /"IPv6":\{"lastUpdated":"[^"]*","healthy":true/);
  rig.backends.IPv4.failures = 0;
  await rig.clock.elapse(30_000);
  strictEqual(rig.servers.healthz.healthzReply().status, 200);
  await rig.end();
});

Deno.test("runFamilies() keeps serving one family while the other fails", async () => {
  const rig = new Rig();
  rig.backends.IPv6.failures = Infinity;
  rig.start();
  rig.syncStore();
  await rig.clock.elapse(1_000);
  rig.addEndpoint("10.0.0.1");
  await rig.clock.elapse(1_000);
  strictEqual(rig.backends.IPv4.plans.length, 2);
  strictEqual(rig.backends.IPv4.plans[1]?.endpointCount, 1);
  strictEqual(
    rig.servers.readiness.reply().body,
    '{"ready":false,"missing":["first sync","first sync of IPv6"]}',
  );
  await rig.end();
});

Deno.test("runFamilies() loses no change while the kernel refuses", async () => {
  const rig = new Rig();
  rig.start();
  rig.syncStore();
  await rig.clock.elapse(1_000);
  rig.backends.IPv4.failures = 4;
  rig.addEndpoint("10.0.0.1", rig.clock.nowMs());
  await rig.clock.elapse(10);
  strictEqual(await rig.metric("kubeproxy_sync_proxy_rules_endpoint_changes_pending"), "1");
  await rig.clock.elapse(10_000);
  strictEqual(rig.backends.IPv4.plans.at(-1)?.endpointCount, 1);
  strictEqual(await rig.metric("kubeproxy_sync_proxy_rules_endpoint_changes_pending"), "0");
  const count = 'kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"}';
  strictEqual(await rig.metric(count), "1");
  await rig.end();
});

Deno.test("runFamilies() verifies after drift", async () => {
  const rig = new Rig();
  rig.start();
  rig.syncStore();
  await rig.clock.elapse(1_000);
  rig.backends.IPv6.onDrift?.("table nat is empty");
  await rig.clock.elapse(1_000);
  strictEqual(rig.backends.IPv6.distrusted, 1);
  strictEqual(rig.backends.IPv6.plans.length, 2);
  strictEqual(rig.backends.IPv4.plans.length, 1);
  await rig.end();
});

Deno.test("runFamilies() plans again when an address of the node comes", async () => {
  const rig = new Rig();
  rig.start();
  rig.syncStore();
  await rig.clock.elapse(1_000);
  rig.addresses = [...rig.addresses, { interfaceName: "eth1", ip: parseIp("192.168.9.2") }];
  await rig.clock.elapse(20_000);
  deepStrictEqual(rig.backends.IPv4.plans.at(-1)?.node.hostAddresses, [
    "192.168.0.2",
    "192.168.9.2",
  ]);
  await rig.end();
});

Deno.test("runFamilies() knows an address that came before a change", async () => {
  const rig = new Rig();
  rig.start();
  rig.syncStore();
  await rig.clock.elapse(1_000);
  rig.addresses = [{ interfaceName: "eth1", ip: parseIp("192.168.9.2") }];
  rig.addEndpoint("10.180.0.1");
  await rig.clock.elapse(1_000);
  for (const { plans } of Object.values(rig.backends)) {
    strictEqual(plans.length, 2);
  }
  deepStrictEqual(rig.backends.IPv4.plans[1]?.node.hostAddresses, ["192.168.9.2"]);
  await rig.end();
});

Deno.test("runFamilies() tells once of a Service that the kernel refuses", async () => {
  const rig = new Rig();
  rig.backends.IPv4.report = {
    ...REPORT,
    quarantined: [{ key: "ns/web:http/TCP", reason: "line 4 failed" }],
  };
  rig.start();
  rig.syncStore();
  await rig.clock.elapse(1_000);
  rig.addEndpoint("10.0.0.1");
  await rig.clock.elapse(1_000);
  deepStrictEqual(
    rig.events.map(({ subject, type, reason }) => [subject.name, type, reason]),
    [["web", "Warning", "FailedToProgramService"]],
  );
  strictEqual(
    await rig.metric('kubeproxy_vipd_quarantined_service_ports{ip_family="IPv4"}'),
    "1",
  );
  await rig.end();
});

Deno.test("runFamilies() waits a moment for ServiceCIDRs before it first writes (SYNC-14)", async () => {
  const rig = new Rig();
  const cidrs = [{ address: parseIp("172.30.0.0"), prefixLength: 16 }];
  rig.start();
  rig.store.replace({ kind: "Service", objects: [service()] });
  rig.store.replace({ kind: "EndpointSlice", objects: [] });
  await rig.clock.elapse(100);
  strictEqual(rig.backends.IPv4.attempts, 0);
  rig.store.replace({ kind: "ServiceCIDR", objects: [{ name: "kubernetes", cidrs }] });
  await rig.clock.elapse(100);
  deepStrictEqual(rig.backends.IPv4.plans.map(({ serviceCidrs }) => serviceCidrs), [cidrs]);
  await rig.end();
});

Deno.test("runFamilies() applies a new ServiceCIDR at once (SYNC-09)", async () => {
  const rig = new Rig();
  rig.start();
  rig.syncStore();
  await rig.clock.elapse(1_000);
  const cidrs = [{ address: parseIp("172.30.0.0"), prefixLength: 16 }];
  rig.store.apply({ kind: "ServiceCIDR", key: "more", object: { name: "more", cidrs } });
  await rig.clock.elapse(10);
  deepStrictEqual(rig.backends.IPv4.plans.at(-1)?.serviceCidrs, cidrs);
  await rig.end();
});

Deno.test("runFamilies() closes the backends at the end", async () => {
  const rig = new Rig();
  rig.start();
  rig.syncStore();
  await rig.clock.elapse(1_000);
  await rig.end();
  ok(rig.backends.IPv4.isClosed && rig.backends.IPv6.isClosed);
});
