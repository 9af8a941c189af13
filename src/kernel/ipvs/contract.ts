/**
 * What every {@linkcode Ipvs} does: the table that the fake answers in a unit test and the kernel
 * in user-mode-linux.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { parseIp } from "../../model/ip.ts";
import type { Protocol } from "../../model/objects.ts";
import type { Ipvs } from "./ipvs.ts";
import {
  plainVirtualServer,
  type RealServer,
  VIRTUAL_SERVER_FLAGS,
  type VirtualServer,
  type VirtualServerAddress,
} from "./values.ts";

/** One behaviour. The kernel is empty before each. */
export interface ContractCase {
  readonly title: string;
  readonly check: (ipvs: Ipvs) => void;
}

function address(ip: string, protocol: Protocol = "TCP"): VirtualServerAddress {
  return { ip: parseIp(ip), protocol, port: 80 };
}

function destination(ip: string, weight = 1): RealServer {
  return { ip: parseIp(ip), port: 8080, forwarding: "masquerade", weight };
}

/** An IPv4 one, an IPv6 one with persistence, one of each other protocol. */
export const CONTRACT_SERVERS: readonly VirtualServer[] = [
  plainVirtualServer(address("10.96.0.1"), "rr"),
  {
    ...plainVirtualServer(address("fd00:96::1"), "wlc"),
    flags: VIRTUAL_SERVER_FLAGS.persistent,
    timeoutSeconds: 10_800,
  },
  plainVirtualServer(address("10.96.0.1", "UDP"), "lc"),
  plainVirtualServer(address("10.96.0.1", "SCTP"), "sh"),
  {
    ...plainVirtualServer(address("10.96.0.2"), "mh"),
    flags: VIRTUAL_SERVER_FLAGS.persistent | VIRTUAL_SERVER_FLAGS.mhPort,
    timeoutSeconds: 60,
    clientPrefixLength: 24,
  },
];

const [V4, V6] = [address("10.96.0.1"), address("fd00:96::1")];
const [A, B, C] = [destination("10.0.0.5"), destination("10.0.0.6", 0), destination("fd00::5")];

/** Adds everything; all of it must work. */
export function addContractServers(ipvs: Ipvs): void {
  const { failures, complete } = ipvs.apply([
    ...CONTRACT_SERVERS.map((server) => ({ kind: "add-virtual-server", server }) as const),
    { kind: "add-real-server", address: V4, realServer: A },
    { kind: "add-real-server", address: V4, realServer: B },
    { kind: "add-real-server", address: V6, realServer: C },
  ]);
  deepStrictEqual([failures, complete], [[], true]);
}

function byIp(a: { ip: string }, b: { ip: string }): number {
  return a.ip < b.ip ? -1 : 1;
}

const IDLE = { activeConnections: 0, inactiveConnections: 0 };

/** The table. */
export const IPVS_CONTRACT: readonly ContractCase[] = [
  {
    title: "virtual servers of every kind are read back as they were added",
    check(ipvs) {
      addContractServers(ipvs);
      const listed = new Set(ipvs.listVirtualServers().map((server) => JSON.stringify(server)));
      strictEqual(listed.size, CONTRACT_SERVERS.length);
      for (const server of CONTRACT_SERVERS) {
        deepStrictEqual(ipvs.getVirtualServer(server.address), server);
        ok(listed.has(JSON.stringify(server)), JSON.stringify([...listed]));
      }
    },
  },
  {
    title: "real servers are read back as they were added",
    check(ipvs) {
      addContractServers(ipvs);
      const found = [...ipvs.listRealServers(V4)].sort(byIp);
      deepStrictEqual(found, [{ ...A, ...IDLE }, { ...B, ...IDLE }]);
      deepStrictEqual(ipvs.listRealServers(V6), [{ ...C, ...IDLE }]);
    },
  },
  {
    title: "what does not exist is undefined, or empty",
    check(ipvs) {
      strictEqual(ipvs.getVirtualServer(V4), undefined);
      deepStrictEqual(ipvs.listRealServers(V4), []);
      deepStrictEqual(ipvs.listVirtualServers(), []);
    },
  },
  {
    title: "virtual servers are changed in place and keep their real servers",
    check(ipvs) {
      addContractServers(ipvs);
      const server = {
        ...plainVirtualServer(V4, "wrr"),
        flags: VIRTUAL_SERVER_FLAGS.persistent,
        timeoutSeconds: 300,
      };
      deepStrictEqual(ipvs.apply([{ kind: "update-virtual-server", server }]).failures, []);
      deepStrictEqual(ipvs.getVirtualServer(V4), server);
      strictEqual(ipvs.listRealServers(V4).length, 2);
      const plain = plainVirtualServer(V4, "rr");
      deepStrictEqual(ipvs.apply([{ kind: "update-virtual-server", server: plain }]).failures, []);
      deepStrictEqual(ipvs.getVirtualServer(V4), plain);
    },
  },
  {
    title: "real servers are changed and deleted",
    check(ipvs) {
      addContractServers(ipvs);
      const { failures } = ipvs.apply([
        { kind: "update-real-server", address: V4, realServer: { ...B, weight: 1 } },
        { kind: "delete-real-server", address: V4, realServer: A },
      ]);
      deepStrictEqual(failures, []);
      deepStrictEqual(ipvs.listRealServers(V4), [{ ...B, weight: 1, ...IDLE }]);
    },
  },
  {
    title: "virtual servers are deleted with their real servers",
    check(ipvs) {
      addContractServers(ipvs);
      deepStrictEqual(ipvs.apply([{ kind: "delete-virtual-server", address: V4 }]).failures, []);
      strictEqual(ipvs.getVirtualServer(V4), undefined);
      const again = plainVirtualServer(V4, "rr");
      deepStrictEqual(ipvs.apply([{ kind: "add-virtual-server", server: again }]).failures, []);
      deepStrictEqual(ipvs.listRealServers(V4), []);
    },
  },
  {
    title: "what the kernel refuses is told by its place, and all else is done",
    check(ipvs) {
      addContractServers(ipvs);
      const missing = address("10.96.9.9");
      const server = plainVirtualServer(V4, "rr");
      const odd = { ...plainVirtualServer(missing, "no-such"), address: missing };
      const last = destination("10.0.0.9");
      const { failures, complete } = ipvs.apply([
        { kind: "add-virtual-server", server },
        { kind: "add-real-server", address: V4, realServer: A },
        { kind: "add-real-server", address: missing, realServer: A },
        { kind: "delete-real-server", address: V4, realServer: last },
        { kind: "add-virtual-server", server: odd },
        { kind: "delete-virtual-server", address: missing },
        { kind: "add-real-server", address: V4, realServer: last },
      ]);
      deepStrictEqual(failures.map(({ index, error }) => [index, error.code, error.operation]), [
        [0, "EEXIST", "add virtual server 10.96.0.1:80/TCP"],
        [1, "EEXIST", "add real server 10.0.0.5:8080 of 10.96.0.1:80/TCP"],
        [2, "ESRCH", "add real server 10.0.0.5:8080 of 10.96.9.9:80/TCP"],
        [3, "ENOENT", "delete real server 10.0.0.9:8080 of 10.96.0.1:80/TCP"],
        [4, "ENOENT", "add virtual server 10.96.9.9:80/TCP"],
        [5, "ESRCH", "delete virtual server 10.96.9.9:80/TCP"],
      ]);
      ok(complete);
      strictEqual(ipvs.listRealServers(V4).length, 3);
    },
  },
  {
    title: "a thousand virtual servers with real servers are added, listed, deleted",
    check(ipvs) {
      const addresses = Array.from({ length: 1000 }, (_, i) => {
        return address(`10.97.${i >> 8}.${i & 255}`);
      });
      const added = ipvs.apply(addresses.flatMap((one) => [
        { kind: "add-virtual-server", server: plainVirtualServer(one, "rr") },
        { kind: "add-real-server", address: one, realServer: A },
        { kind: "add-real-server", address: one, realServer: B },
      ]));
      deepStrictEqual([added.failures, added.complete], [[], true]);
      strictEqual(ipvs.listVirtualServers().length, 1000);
      const gone = ipvs.apply(addresses.map((one) => {
        return { kind: "delete-virtual-server", address: one };
      }));
      deepStrictEqual(gone.failures, []);
      strictEqual(ipvs.listVirtualServers().length, 0);
    },
  },
  {
    title: "timeouts are set, zeros leave them as they are",
    check(ipvs) {
      ipvs.setTimeouts({ tcpSeconds: 1000, tcpFinSeconds: 100, udpSeconds: 200 });
      ipvs.setTimeouts({ tcpSeconds: 0, tcpFinSeconds: 0, udpSeconds: 250 });
      const want = { tcpSeconds: 1000, tcpFinSeconds: 100, udpSeconds: 250 };
      deepStrictEqual(ipvs.readTimeouts(), want);
    },
  },
  {
    title: "flush removes everything",
    check(ipvs) {
      addContractServers(ipvs);
      ipvs.flush();
      deepStrictEqual(ipvs.listVirtualServers(), []);
    },
  },
];
