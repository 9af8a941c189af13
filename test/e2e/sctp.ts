/**
 * SCTP without a library: a server that says its name to whoever connects, and a client that
 * prints what it is told. One program, because Deno has no SCTP and the C library does.
 *
 *     sctp.ts serve ADDRESS PORT NAME
 *     sctp.ts ask ADDRESS PORT
 *
 * @module
 */

import process from "node:process";
import { bitsOf, familyOf, ipToBytes, parseIp } from "../../src/model/ip.ts";

const LIBC = Deno.dlopen("libc.so.6", {
  /** int socket(int domain, int type, int protocol); */
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  /** int bind(int fd, const struct sockaddr *address, socklen_t length); */
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  /** int connect(int fd, const struct sockaddr *address, socklen_t length); */
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  /** int listen(int fd, int backlog); */
  listen: { parameters: ["i32", "i32"], result: "i32" },
  /** int accept(int fd, struct sockaddr *address, socklen_t *length); */
  accept: { parameters: ["i32", "pointer", "pointer"], result: "i32" },
  /** ssize_t read(int fd, void *buf, size_t count); */
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  /** ssize_t write(int fd, const void *buf, size_t count); */
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  /** int close(int fd); */
  close: { parameters: ["i32"], result: "i32" },
}).symbols;

const SOCK_STREAM = 1;
const IPPROTO_SCTP = 132;

/** struct sockaddr_in or sockaddr_in6. */
function socketAddress(host: string, port: number): Uint8Array<ArrayBuffer> {
  const ip = parseIp(host);
  const isIpv4 = bitsOf(familyOf(ip)) === 32;
  const bytes = new Uint8Array(isIpv4 ? 16 : 28);
  const view = new DataView(bytes.buffer);
  bytes[0] = isIpv4 ? 2 : 10; // the family is in host order, low byte first
  view.setUint16(2, port);
  bytes.set(ipToBytes(ip), isIpv4 ? 4 : 8);
  return bytes;
}

function open(address: Uint8Array): number {
  const fd = LIBC.socket(address[0] ?? 0, SOCK_STREAM, IPPROTO_SCTP);
  if (fd < 0) throw new Error("The kernel has no SCTP: modprobe sctp");
  return fd;
}

function serve(address: Uint8Array<ArrayBuffer>, name: string): void {
  const fd = open(address);
  if (LIBC.bind(fd, address, address.length) < 0 || LIBC.listen(fd, 16) < 0) {
    throw new Error("Cannot listen");
  }
  process.stdout.write("listening\n");
  for (;;) {
    const peer = LIBC.accept(fd, null, null);
    const text = new TextEncoder().encode(`${name}\n`);
    LIBC.write(peer, text, BigInt(text.length));
    LIBC.close(peer);
  }
}

function ask(address: Uint8Array<ArrayBuffer>): void {
  const fd = open(address);
  if (LIBC.connect(fd, address, address.length) < 0) throw new Error("Cannot connect");
  const bytes = new Uint8Array(100);
  const length = Number(LIBC.read(fd, bytes, 100n));
  process.stdout.write(bytes.subarray(0, Math.max(0, length)));
}

const [verb, host = "", port = "", name = ""] = Deno.args;
const address = socketAddress(host, Number(port));
if (verb === "serve") serve(address, name);
else ask(address);
