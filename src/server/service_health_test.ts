import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { ManualClock } from "../../test/support/manual_clock.ts";
import type { ServiceHealthCheck } from "../model/health.ts";
import { type IpFamily, parseIp } from "../model/ip.ts";
import type { NamespacedName } from "../model/objects.ts";
import type { NodePortAddresses } from "../model/plan.ts";
import type { HttpReply, ListenOptions } from "./http.ts";
import { type BindFailure, ServiceHealthServers } from "./service_health.ts";

const ALL: NodePortAddresses = { kind: "all" };
const NONE: ReadonlyMap<NamespacedName, ServiceHealthCheck> = new Map();

/** Sockets as a map from `ip:port` to what listens there. */
class Rig {
  readonly clock = new ManualClock();
  readonly sockets = new Map<string, ListenOptions>();
  readonly taken = new Set<string>();
  readonly failures: BindFailure[] = [];
  readonly controller = new AbortController();
  isHealthy = true;
  readonly servers = new ServiceHealthServers({
    isProxyHealthy: () => this.isHealthy,
    listen: (options) => {
      const key = `${options.ip} ${options.port}`;
      if (this.taken.has(key)) return Promise.reject(new Error("in use"));
      this.sockets.set(key, options);
      return Promise.resolve({ close: () => Promise.resolve(void this.sockets.delete(key)) });
    },
    sleep: (ms, signal) => this.clock.sleep(ms, signal),
    onBindFailure: (failure) => void this.failures.push(failure),
    signal: this.controller.signal,
  });

  async ask(socket: string, family: IpFamily): Promise<HttpReply | undefined> {
    const options = this.sockets.get(socket);
    if (options === undefined || options.welcomes?.(family) === false) return undefined;
    return await options.handler({
      method: "GET",
      path: "/any",
      query: new URLSearchParams(),
      family,
    });
  }
}

function checks(
  family: IpFamily,
  localEndpoints: number,
): ReadonlyMap<NamespacedName, ServiceHealthCheck> {
  const check = { service: "ns/web", namespace: "ns", name: "web", family, port: 31_000 } as const;
  return new Map([["ns/web", { ...check, localEndpoints }]]);
}

Deno.test("ServiceHealthServers answers what load balancers of kube-proxy know (HZ-06)", async () => {
  const rig = new Rig();
  rig.servers.update("IPv4", { checks: checks("IPv4", 2), addresses: ALL });
  await rig.servers.settled();
  const reply = await rig.ask(":: 31000", "IPv4");
  strictEqual(reply?.status, 200);
  strictEqual(reply.headers["X-Load-Balancing-Endpoint-Weight"], "2");
  strictEqual(
    reply.body,
    '{\n\t"service": {\n\t\t"namespace": "ns",\n\t\t"name": "web"\n\t},\n' +
      '\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}',
  );
});

Deno.test("ServiceHealthServers answers 503 without endpoints, or while unhealthy", async () => {
  const rig = new Rig();
  rig.servers.update("IPv4", { checks: checks("IPv4", 0), addresses: ALL });
  await rig.servers.settled();
  strictEqual((await rig.ask(":: 31000", "IPv4"))?.status, 503);
  rig.servers.update("IPv4", { checks: checks("IPv4", 1), addresses: ALL });
  strictEqual((await rig.ask(":: 31000", "IPv4"))?.status, 200);
  rig.isHealthy = false;
  strictEqual((await rig.ask(":: 31000", "IPv4"))?.status, 503);
});

Deno.test("ServiceHealthServers counts each family by itself and cuts other ones off", async () => {
  const rig = new Rig();
  rig.servers.update("IPv6", { checks: checks("IPv6", 1), addresses: ALL });
  await rig.servers.settled();
  strictEqual(await rig.ask(":: 31000", "IPv4"), undefined);
  rig.servers.update("IPv4", { checks: checks("IPv4", 0), addresses: ALL });
  await rig.servers.settled();
  strictEqual((await rig.ask(":: 31000", "IPv4"))?.status, 503);
  strictEqual((await rig.ask(":: 31000", "IPv6"))?.status, 200);
});

Deno.test("ServiceHealthServers listens on nodePortAddresses of the family only", async () => {
  const rig = new Rig();
  const addresses = ["192.168.0.2", "fd00::2"].map(parseIp);
  rig.servers.update("IPv4", {
    checks: checks("IPv4", 1),
    addresses: { kind: "some", addresses },
  });
  await rig.servers.settled();
  deepStrictEqual([...rig.sockets.keys()], ["192.168.0.2 31000"]);
});

Deno.test("ServiceHealthServers closes what nobody wants any more", async () => {
  const rig = new Rig();
  rig.servers.update("IPv4", { checks: checks("IPv4", 1), addresses: ALL });
  await rig.servers.settled();
  rig.servers.update("IPv4", { checks: NONE, addresses: ALL });
  await rig.servers.settled();
  deepStrictEqual([...rig.sockets.keys()], []);
});

Deno.test("ServiceHealthServers tries a taken port again by itself, tells once (HZ-07)", async () => {
  const rig = new Rig();
  rig.taken.add(":: 31000");
  rig.servers.update("IPv4", { checks: checks("IPv4", 1), addresses: ALL });
  await rig.clock.elapse(12_000);
  deepStrictEqual(rig.failures.map(({ service, port }) => [service, port]), [["ns/web", 31_000]]);
  rig.taken.clear();
  await rig.clock.elapse(5_000);
  deepStrictEqual([...rig.sockets.keys()], [":: 31000"]);
  await rig.clock.elapse(60_000);
  strictEqual(rig.clock.slept.length, 3);
  await rig.servers.close();
  deepStrictEqual([...rig.sockets.keys()], []);
});
