/**
 * Words to the service manager: ready, reloading, stopping, alive. See sd_notify(3): one datagram
 * of `NAME=value` lines to the Unix socket that $NOTIFY_SOCKET names.
 *
 * @module
 */

import { getSystemErrorName } from "node:util";
import { errno, libc } from "../libc/libc.ts";

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const MSG_NOSIGNAL = 0x4000;
/** sizeof(sun_path) in struct sockaddr_un. */
const PATH_SIZE = 108;

/** Tells the service manager something; does nothing where there is none. */
export interface ServiceManager {
  /** Microseconds within which it wants a sign of life; undefined when it wants none. */
  readonly watchdogMicroseconds: number | undefined;
  /** Sends lines such as `READY=1`. Throws an Error that names the socket. */
  notify(...lines: readonly string[]): void;
}

/** The environment that the service manager set up, or that of a test. */
export interface NotifyEnvironment {
  readonly socket: string | undefined;
  readonly watchdogMicroseconds: string | undefined;
}

/** Finds the service manager in the environment of this process. Needs --allow-env. */
export function readNotifyEnvironment(): NotifyEnvironment {
  return {
    socket: Deno.env.get("NOTIFY_SOCKET"),
    watchdogMicroseconds: Deno.env.get("WATCHDOG_USEC"),
  };
}

/** The service manager behind the socket. */
export function openServiceManager(environment: NotifyEnvironment): ServiceManager {
  const { socket } = environment;
  const watchdog = Number(environment.watchdogMicroseconds);
  return {
    watchdogMicroseconds: watchdog > 0 ? watchdog : undefined,
    notify: (...lines) => {
      if (socket !== undefined && socket !== "") sendLines(socket, lines);
    },
  };
}

/** struct sockaddr_un; a leading `@` stands for the abstract name space. */
export function encodeSocketAddress(path: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(path);
  if (bytes.length >= PATH_SIZE) throw new RangeError(`Socket path is too long: ${path}`);
  const isAbstract = path.startsWith("@");
  if (isAbstract) bytes[0] = 0;
  // A path ends with a zero byte, an abstract name with its length.
  const address = new Uint8Array(2 + bytes.length + (isAbstract ? 0 : 1));
  address[0] = AF_UNIX;
  address.set(bytes, 2);
  return address;
}

function sendLines(path: string, lines: readonly string[]): void {
  const address = encodeSocketAddress(path);
  const text = new TextEncoder().encode(lines.join("\n"));
  const fd = libc().socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  try {
    const sent = libc().sendto(
      fd,
      text,
      BigInt(text.length),
      MSG_NOSIGNAL,
      address,
      address.length,
    );
    if (Number(sent) < 0) {
      throw new Error(`Cannot notify ${path}: ${getSystemErrorName(-errno())}`);
    }
  } finally {
    libc().close(fd);
  }
}
