/**
 * The kernel's load balancer: every operation on virtual servers, real servers and timeouts.
 * See linux/ip_vs.h, ipvsadm(8).
 *
 * @module
 */

import type { BatchResult, NetlinkChannel, NetlinkRequest } from "../netlink/channel.ts";
import { Attributes } from "../netlink/attributes.ts";
import { NETLINK_GENERIC } from "../netlink/constants.ts";
import { ERRNO, isNotFound, NetlinkError } from "../netlink/errors.ts";
import { GENL_HEADER_SIZE, resolveFamily, writeGenl } from "../netlink/genetlink.ts";
import type { NetlinkMessage } from "../netlink/message.ts";
import { openNetlink } from "../netlink/socket.ts";
import type { MessageWriter } from "../netlink/writer.ts";
import {
  COMMANDS,
  decodeRealServer,
  decodeTimeouts,
  decodeVirtualServer,
  writeAddress,
  writeRealServer,
  writeTimeouts,
  writeVirtualServer,
} from "./codec.ts";
import {
  formatVirtualServer,
  type IpvsChange,
  type IpvsTimeouts,
  type ObservedRealServer,
  type VirtualServer,
  type VirtualServerAddress,
} from "./values.ts";
import { formatHostPort } from "../../model/ip.ts";

/** What became of changes. */
export type IpvsResult = Pick<BatchResult, "failures" | "complete" | "bytesSent">;

/** The load balancer of the network namespace vipd runs in. */
export interface Ipvs extends Disposable {
  /** Makes all changes in their order, in as few system calls as possible; tries each. */
  apply(changes: readonly IpvsChange[]): IpvsResult;
  /** Both families; without those by firewall mark. */
  listVirtualServers(): readonly VirtualServer[];
  /** undefined when it does not exist. */
  getVirtualServer(address: VirtualServerAddress): VirtualServer | undefined;
  /** Empty when the virtual server does not exist. */
  listRealServers(address: VirtualServerAddress): readonly ObservedRealServer[];
  readTimeouts(): IpvsTimeouts;
  /** 0 leaves a timeout as it is. */
  setTimeouts(timeouts: IpvsTimeouts): void;
  /** Removes every virtual server of everybody. */
  flush(): void;
}

/**
 * Opens the load balancer of the kernel, which loads its module if it can.
 *
 * @throws {NetlinkError} ENOENT with advice when the kernel has no IPVS.
 */
export function openIpvs(): Ipvs {
  const channel = openNetlink(NETLINK_GENERIC);
  try {
    return ipvsOver(channel);
  } catch (cause) {
    channel[Symbol.dispose]();
    if (!isNotFound(cause)) throw cause;
    const text = "the kernel has no IPVS: modprobe ip_vs (package linux-modules or linux-image)";
    throw new NetlinkError("use IPVS", { errno: ERRNO.ENOENT, text }, { cause });
  }
}

/** The load balancer at the other end of a channel. */
export function ipvsOver(channel: NetlinkChannel): Ipvs {
  const type = resolveFamily(channel, "IPVS");
  const request = (part: RequestPart): NetlinkRequest => ({
    operation: part.operation,
    type,
    body(writer) {
      writeGenl(writer, { command: part.command, version: 1 });
      part.write?.(writer);
    },
  });
  return {
    apply: (changes) => channel.execute(changes.map((change) => request(partOf(change)))),
    listVirtualServers() {
      const part = { operation: "list virtual servers", command: COMMANDS.getService };
      const servers = channel.dump(request(part)).map((m) => decodeVirtualServer(attributesOf(m)));
      return servers.filter((server) => server !== undefined);
    },
    getVirtualServer(address) {
      return orUndefined(() => {
        const reply = channel.query(request(onService("read", { address, command: "getService" })));
        return reply && decodeVirtualServer(attributesOf(reply));
      });
    },
    listRealServers(address) {
      const part = onService("list real servers of", { address, command: "getDestination" });
      const messages = orUndefined(() => channel.dump(request(part))) ?? [];
      return messages.map((message) => decodeRealServer(attributesOf(message), address));
    },
    readTimeouts() {
      const part = { operation: "read IPVS timeouts", command: COMMANDS.getConfig };
      const reply = channel.query(request(part));
      return decodeTimeouts(attributesOf(reply));
    },
    setTimeouts(timeouts) {
      channel.query(request({
        operation: "set IPVS timeouts",
        command: COMMANDS.setConfig,
        write: (writer) => writeTimeouts(writer, timeouts),
      }));
    },
    flush: () => void channel.query(request({ operation: "flush IPVS", command: COMMANDS.flush })),
    [Symbol.dispose]: () => channel[Symbol.dispose](),
  };
}

/** The part of a request that is its own. */
interface RequestPart {
  readonly operation: string;
  readonly command: number;
  readonly write?: (writer: MessageWriter) => void;
}

const CHANGE_COMMANDS = {
  "add-virtual-server": COMMANDS.newService,
  "update-virtual-server": COMMANDS.setService,
  "delete-virtual-server": COMMANDS.deleteService,
  "add-real-server": COMMANDS.newDestination,
  "update-real-server": COMMANDS.setDestination,
  "delete-real-server": COMMANDS.deleteDestination,
} as const;

function partOf(change: IpvsChange): RequestPart {
  const command = CHANGE_COMMANDS[change.kind];
  const write = (writer: MessageWriter): void => writeChange(writer, change);
  return { operation: describeChange(change), command, write };
}

function writeChange(writer: MessageWriter, change: IpvsChange): void {
  if ("server" in change) return writeVirtualServer(writer, change.server);
  writeAddress(writer, change.address);
  if ("realServer" in change) writeRealServer(writer, change.realServer);
}

/** `add real server 10.0.0.5:8080 of 10.96.0.1:80/TCP`. */
export function describeChange(change: IpvsChange): string {
  const what = change.kind.replaceAll("-", " ");
  if ("server" in change) return `${what} ${formatVirtualServer(change.server.address)}`;
  const address = formatVirtualServer(change.address);
  if (!("realServer" in change)) return `${what} ${address}`;
  const { ip, port } = change.realServer;
  return `${what} ${formatHostPort(ip, port)} of ${address}`;
}

function onService(
  verb: string,
  { address, command }: { address: VirtualServerAddress; command: keyof typeof COMMANDS },
): RequestPart {
  return {
    operation: `${verb} virtual server ${formatVirtualServer(address)}`,
    command: COMMANDS[command],
    write: (writer) => writeAddress(writer, address),
  };
}

function attributesOf(message: NetlinkMessage | undefined): Attributes {
  if (message === undefined) throw new SyntaxError("Cannot decode IPVS message: there is none");
  return new Attributes(message.payload.subarray(GENL_HEADER_SIZE));
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
