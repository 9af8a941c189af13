/**
 * An {@linkcode Ipvs} in memory, with the errors of the kernel. contract.ts holds it and the real
 * one to the same behaviour.
 *
 * @module
 */

import { formatHostPort } from "../../model/ip.ts";
import { ERRNO, NetlinkError } from "../netlink/errors.ts";
import { describeChange, type Ipvs, type IpvsResult } from "./ipvs.ts";
import {
  formatVirtualServer,
  type IpvsChange,
  type IpvsTimeouts,
  type ObservedRealServer,
  type RealServer,
  type VirtualServer,
  type VirtualServerAddress,
} from "./values.ts";

interface FakeVirtualServer {
  server: VirtualServer;
  /** By `ip:port`. */
  readonly realServers: Map<string, ObservedRealServer>;
}

/** Virtual servers in memory. */
export class FakeIpvs implements Ipvs {
  /** By {@linkcode formatVirtualServer}. */
  readonly servers = new Map<string, FakeVirtualServer>();
  /** Every batch that was applied. */
  readonly applied: (readonly IpvsChange[])[] = [];
  /** Schedulers the kernel has. */
  readonly schedulers = new Set(["rr", "wrr", "lc", "wlc", "sh", "mh", "sed", "nq", "dh", "lblc"]);
  timeouts: IpvsTimeouts = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 };

  [Symbol.dispose](): void {}

  apply(changes: readonly IpvsChange[]): IpvsResult {
    this.applied.push(changes);
    const failures: { index: number; error: NetlinkError }[] = [];
    for (const [index, change] of changes.entries()) {
      const errno = this.#applyOne(change);
      if (errno === 0) continue;
      failures.push({ index, error: new NetlinkError(describeChange(change), { errno }) });
    }
    return { failures, complete: true, bytesSent: changes.length * 100 };
  }

  listVirtualServers(): readonly VirtualServer[] {
    return [...this.servers.values()].map(({ server }) => server);
  }

  getVirtualServer(address: VirtualServerAddress): VirtualServer | undefined {
    return this.servers.get(formatVirtualServer(address))?.server;
  }

  listRealServers(address: VirtualServerAddress): readonly ObservedRealServer[] {
    return [...this.servers.get(formatVirtualServer(address))?.realServers.values() ?? []];
  }

  readTimeouts(): IpvsTimeouts {
    return this.timeouts;
  }

  setTimeouts({ tcpSeconds, tcpFinSeconds, udpSeconds }: IpvsTimeouts): void {
    this.timeouts = {
      tcpSeconds: tcpSeconds || this.timeouts.tcpSeconds,
      tcpFinSeconds: tcpFinSeconds || this.timeouts.tcpFinSeconds,
      udpSeconds: udpSeconds || this.timeouts.udpSeconds,
    };
  }

  flush(): void {
    this.servers.clear();
  }

  /** Lets clients come and go. */
  setConnections(
    address: VirtualServerAddress,
    { ip, port, active }: Pick<RealServer, "ip" | "port"> & { active: number },
  ): void {
    const realServers = this.servers.get(formatVirtualServer(address))?.realServers;
    const key = formatHostPort(ip, port);
    const found = realServers?.get(key);
    if (found === undefined) throw new TypeError(`No real server ${key}`);
    realServers?.set(key, { ...found, activeConnections: active });
  }

  #applyOne(change: IpvsChange): number {
    if ("server" in change) return this.#applyServer(change.kind, change.server);
    const key = formatVirtualServer(change.address);
    const found = this.servers.get(key);
    if (found === undefined) return ERRNO.ESRCH;
    if ("realServer" in change) return applyRealServer(found, change);
    this.servers.delete(key);
    return 0;
  }

  #applyServer(kind: IpvsChange["kind"], server: VirtualServer): number {
    const key = formatVirtualServer(server.address);
    const found = this.servers.get(key);
    if (kind === "add-virtual-server" && found !== undefined) return ERRNO.EEXIST;
    if (kind === "update-virtual-server" && found === undefined) return ERRNO.ESRCH;
    if (!this.schedulers.has(server.scheduler)) return ERRNO.ENOENT;
    if (found === undefined) this.servers.set(key, { server, realServers: new Map() });
    else found.server = server;
    return 0;
  }
}

function applyRealServer(
  { realServers }: FakeVirtualServer,
  { kind, realServer }: Extract<IpvsChange, { realServer: RealServer }>,
): number {
  const key = formatHostPort(realServer.ip, realServer.port);
  const found = realServers.get(key);
  if (kind === "add-real-server") {
    if (found !== undefined) return ERRNO.EEXIST;
    realServers.set(key, { ...realServer, activeConnections: 0, inactiveConnections: 0 });
  } else if (found === undefined) return ERRNO.ENOENT;
  else if (kind === "delete-real-server") realServers.delete(key);
  else realServers.set(key, { ...found, ...realServer });
  return 0;
}
