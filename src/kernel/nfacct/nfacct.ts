/**
 * Named packet counters that rules refer to by `-m nfacct`. The name must exist before the rule.
 * See linux/netfilter/nfnetlink_acct.h, nfacct(8).
 *
 * @module
 */

import { Attributes } from "../netlink/attributes.ts";
import type { NetlinkChannel } from "../netlink/channel.ts";
import { NETLINK_NETFILTER, NLM_F_CREATE, NLM_F_EXCL } from "../netlink/constants.ts";
import { ERRNO, isExisting, isNotFound, NetlinkError } from "../netlink/errors.ts";
import {
  NFGEN_SIZE,
  nfnetlinkType,
  NFNL_SUBSYS_ACCT,
  NFPROTO_UNSPEC,
  writeNfgen,
} from "../netlink/nfnetlink.ts";
import { openNetlink } from "../netlink/socket.ts";

/** What a counter has seen. */
export interface NfacctCounter {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** The counters of the network namespace vipd runs in. */
export interface Nfacct extends Disposable {
  /** Makes the counter unless it exists. Throws a NetlinkError. */
  ensure(name: string): void;
  /** What it has seen; undefined when there is no such counter. */
  read(name: string): NfacctCounter | undefined;
}

const NEW = nfnetlinkType(NFNL_SUBSYS_ACCT, 0);
const GET = nfnetlinkType(NFNL_SUBSYS_ACCT, 1);
const NFACCT_NAME = 1;
const NFACCT_PKTS = 2;
const NFACCT_BYTES = 3;

/**
 * Opens the counters of the kernel.
 *
 * @throws {NetlinkError} for which `isUnsupported` holds when the kernel lacks nfacct.
 */
export function openNfacct(): Nfacct {
  const channel = openNetlink(NETLINK_NETFILTER);
  try {
    return nfacctOver(channel);
  } catch (error) {
    channel[Symbol.dispose]();
    throw error;
  }
}

/** The counters at the other end of a channel. */
export function nfacctOver(channel: NetlinkChannel): Nfacct {
  refuseWithout(channel);
  return {
    ensure(name) {
      const operation = `create nfacct counter ${name}`;
      try {
        channel.query(request(operation, { type: NEW, name }));
      } catch (error) {
        if (!isExisting(error)) throw error;
      }
    },
    read(name) {
      try {
        const reply = channel.query(request(`read nfacct counter ${name}`, { type: GET, name }));
        return reply && decodeCounter(reply.payload);
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    [Symbol.dispose]: () => channel[Symbol.dispose](),
  };
}

function request(
  operation: string,
  { type, name }: { type: number; name: string },
): Parameters<NetlinkChannel["query"]>[0] {
  return {
    operation,
    type,
    // Without NLM_F_EXCL the kernel says EBUSY of a counter that exists.
    flags: type === NEW ? NLM_F_CREATE | NLM_F_EXCL : 0,
    body(writer) {
      writeNfgen(writer, NFPROTO_UNSPEC);
      writer.string(NFACCT_NAME, name);
    },
  };
}

/** A listing never fails for another reason: nfnetlink says EINVAL of a part it does not have. */
function refuseWithout(channel: NetlinkChannel): void {
  const operation = "use nfacct";
  try {
    channel.dump({ operation, type: GET, body: (writer) => writeNfgen(writer, NFPROTO_UNSPEC) });
  } catch (cause) {
    if (!(cause instanceof NetlinkError) || cause.errno !== ERRNO.EINVAL) throw cause;
    const text = "the kernel has no nfacct: modprobe nfnetlink_acct";
    throw new NetlinkError(operation, { errno: ERRNO.EOPNOTSUPP, text }, { cause });
  }
}

function decodeCounter(payload: Uint8Array): NfacctCounter {
  const attributes = new Attributes(payload.subarray(NFGEN_SIZE));
  const packets = attributes.be64(NFACCT_PKTS);
  const bytes = attributes.be64(NFACCT_BYTES);
  if (packets === undefined || bytes === undefined) {
    throw new SyntaxError("Cannot decode nfacct counter: it has no numbers");
  }
  return { packets, bytes };
}
