/**
 * A netlink socket made by libnl. Only receiving and socket options go past it, to the C library,
 * because libnl receives with two system calls and folds several errno into one code.
 *
 * @module
 */

import { NetlinkChannel } from "./channel.ts";
import { ERRNO, NetlinkError } from "./errors.ts";
import { lastErrno, type Libnl, libnl } from "./libnl.ts";
import type { NetlinkPort, Received } from "./port.ts";

/** Socket options: sys/socket.h, linux/netlink.h. */
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const EFD_NONBLOCK_CLOEXEC = 0x80800;
const POLLIN = 1;

/** Large enough for an error for each request of a batch. */
const RECEIVE_BUFFER = 8 * 1024 * 1024;
const SEND_BUFFER = 1024 * 1024;

/** Opens a channel to a part of the kernel: NETLINK_ROUTE, _NETFILTER or _GENERIC. */
export function openNetlink(protocol: number): NetlinkChannel {
  return new NetlinkChannel(new NetlinkSocket(protocol));
}

/** The real {@linkcode NetlinkPort}. */
export class NetlinkSocket implements NetlinkPort {
  readonly #library: Libnl;
  readonly #socket: Deno.PointerValue;
  readonly #fd: number;
  #buffer = new Uint8Array(64 * 1024);
  #sendBuffer = SEND_BUFFER;

  /** @throws {NetlinkError} when the kernel has no such protocol. */
  constructor(protocol: number) {
    this.#library = libnl();
    this.#socket = this.#library.nl_socket_alloc();
    if (this.#library.nl_connect(this.#socket, protocol) < 0) {
      const errno = lastErrno(this.#library);
      this.#library.nl_socket_free(this.#socket);
      throw new NetlinkError(`open a netlink socket of protocol ${protocol}`, { errno });
    }
    this.#fd = this.#library.nl_socket_get_fd(this.#socket);
    // All of them only help: an older kernel or one without the capability does without.
    this.#setOption(SOL_SOCKET, { name: SO_RCVBUFFORCE, value: RECEIVE_BUFFER });
    this.#setOption(SOL_SOCKET, { name: SO_SNDBUFFORCE, value: SEND_BUFFER });
    this.#setOption(SOL_NETLINK, { name: NETLINK_CAP_ACK, value: 1 });
    this.#setOption(SOL_NETLINK, { name: NETLINK_EXT_ACK, value: 1 });
    this.#setOption(SOL_NETLINK, { name: NETLINK_GET_STRICT_CHK, value: 1 });
  }

  [Symbol.dispose](): void {
    this.#library.nl_close(this.#socket);
    this.#library.nl_socket_free(this.#socket);
  }

  send(datagram: Uint8Array<ArrayBuffer>): void {
    // The kernel refuses a datagram that is larger than the send buffer with EMSGSIZE.
    if (datagram.length + 4096 > this.#sendBuffer) {
      this.#sendBuffer = datagram.length * 2;
      this.#setOption(SOL_SOCKET, { name: SO_SNDBUFFORCE, value: this.#sendBuffer });
    }
    if (this.#library.nl_sendto(this.#socket, datagram, BigInt(datagram.length)) < 0) {
      throw new NetlinkError("send to the kernel", { errno: lastErrno(this.#library) });
    }
  }

  receive(): Received {
    for (;;) {
      const buffer = this.#buffer;
      const flags = MSG_DONTWAIT | MSG_TRUNC;
      const length = Number(this.#library.recv(this.#fd, buffer, BigInt(buffer.length), flags));
      if (length > buffer.length) {
        this.#buffer = new Uint8Array(length * 2);
        return { kind: "truncated" };
      }
      if (length > 0) return { kind: "datagram", bytes: buffer.slice(0, length) };
      if (length === 0) return { kind: "nothing" };
      const errno = lastErrno(this.#library);
      if (errno === ERRNO.EAGAIN) return { kind: "nothing" };
      if (errno === ERRNO.ENOBUFS) return { kind: "overrun" };
      if (errno !== ERRNO.EINTR) throw new NetlinkError("receive from the kernel", { errno });
    }
  }

  join(group: number): void {
    if (this.#library.nl_socket_add_membership(this.#socket, group) < 0) {
      const errno = lastErrno(this.#library);
      throw new NetlinkError(`join netlink group ${group}`, { errno });
    }
  }

  /** poll(2) on a thread of its own; an eventfd beside the socket wakes it up on abort. */
  async readable(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const wake = this.#library.eventfd(0, EFD_NONBLOCK_CLOEXEC);
    const onAbort = () => void this.#library.write(wake, BigUint64Array.of(1n), 8n);
    signal.addEventListener("abort", onAbort, { once: true });
    // struct pollfd { int fd; short events; short revents; }
    const descriptors = Int32Array.of(this.#fd, POLLIN, wake, POLLIN);
    try {
      await this.#library.poll(descriptors, 2n, -1);
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#library.close(wake);
    }
  }

  #setOption(level: number, { name, value }: { name: number; value: number }): void {
    this.#library.setsockopt(this.#fd, level, name, Int32Array.of(value), 4);
  }
}
