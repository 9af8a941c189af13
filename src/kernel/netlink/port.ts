/**
 * The two ends a netlink conversation needs: send a datagram, take the next one that waits.
 * The socket is one, the fake kernel of the tests another.
 *
 * @module
 */

/** What was waiting. */
export type Received =
  | { readonly kind: "datagram"; readonly bytes: Uint8Array }
  /** Nothing waits. The kernel answers while it takes a request, so nothing will come either. */
  | { readonly kind: "nothing" }
  /** ENOBUFS: answers were lost because the receive buffer was full. */
  | { readonly kind: "overrun" }
  /** A datagram was larger than our buffer; the rest of it is lost, the buffer has grown. */
  | { readonly kind: "truncated" };

/** A netlink socket or its stand-in. */
export interface NetlinkPort extends Disposable {
  /** Hands one datagram to the kernel. Throws a NetlinkError. */
  send(datagram: Uint8Array<ArrayBuffer>): void;
  /** The next datagram; never blocks. The bytes belong to the caller. */
  receive(): Received;
  /** Resolves when something waits to be received, or on abort. Costs nothing while idle. */
  readable(signal: AbortSignal): Promise<void>;
  /** Joins a multicast group, for notifications. */
  join(group: number): void;
}
