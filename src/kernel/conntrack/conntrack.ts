/**
 * The kernel's connection tracking table: list flows, delete flows.
 *
 * @module
 */

import type { Flow } from "../../model/conntrack.ts";
import type { NetlinkChannel } from "../netlink/channel.ts";
import { NETLINK_NETFILTER } from "../netlink/constants.ts";
import { ERRNO, isNotFound, isUnsupported, NetlinkError } from "../netlink/errors.ts";
import type { NetlinkMessage } from "../netlink/message.ts";
import { openNetlink } from "../netlink/socket.ts";
import { decodeFlow, deleteRequest, type FlowFilter, listRequest } from "./codec.ts";

export type { FlowFilter };

/** The flows of the network namespace vipd runs in. */
export interface Conntrack extends Disposable {
  /** All flows of a family and protocol. Throws a NetlinkError. */
  list(filter: FlowFilter): Flow[];
  /**
   * Deletes the flows; one that is gone already is fine.
   *
   * @throws {AggregateError} of NetlinkErrors, when all have been tried.
   */
  delete(flows: readonly Flow[]): void;
}

/** Opens the table of the kernel. */
export function openConntrack(): Conntrack {
  return conntrackOver(openNetlink(NETLINK_NETFILTER));
}

/** The table at the other end of a channel. */
export function conntrackOver(channel: NetlinkChannel): Conntrack {
  return {
    list: (filter) => listFlows(channel, filter),
    delete: (flows) => deleteFlows(channel, flows),
    [Symbol.dispose]: () => channel[Symbol.dispose](),
  };
}

function listFlows(channel: NetlinkChannel, filter: FlowFilter): Flow[] {
  const flows: Flow[] = [];
  for (const { payload } of dumpFlows(channel, filter)) {
    const flow = decodeFlow(payload);
    if (flow?.family === filter.family && flow.protocol === filter.protocol) flows.push(flow);
  }
  return flows;
}

function dumpFlows(channel: NetlinkChannel, filter: FlowFilter): readonly NetlinkMessage[] {
  try {
    return channel.dump(listRequest(filter, "filtered"));
  } catch (error) {
    if (!isUnsupported(error) && !isInvalid(error)) throw error;
    return dumpUnfiltered(channel, filter);
  }
}

/** nfnetlink says EINVAL of a part that the kernel does not have. */
function dumpUnfiltered(channel: NetlinkChannel, filter: FlowFilter): readonly NetlinkMessage[] {
  const request = listRequest(filter, "unfiltered");
  try {
    return channel.dump(request);
  } catch (cause) {
    if (!isInvalid(cause)) throw cause;
    const text = "the kernel does not show its flows: modprobe nf_conntrack_netlink";
    throw new NetlinkError(request.operation, { errno: ERRNO.EOPNOTSUPP, text }, { cause });
  }
}

function deleteFlows(channel: NetlinkChannel, flows: readonly Flow[]): void {
  // What a lost answer would have said does not matter: a flow that stays is found the next time.
  const { failures } = channel.execute(flows.map(deleteRequest));
  const errors = failures.map(({ error }) => error).filter((error): boolean => !isNotFound(error));
  if (errors.length === 0) return;
  throw new AggregateError(errors, `Cannot delete ${errors.length} flows: ${errors[0]?.message}`);
}

function isInvalid(error: unknown): boolean {
  return error instanceof NetlinkError && error.errno === ERRNO.EINVAL;
}
