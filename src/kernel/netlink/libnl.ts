/**
 * libnl and the C library below it: the only dlopen in the house.
 *
 * All C symbols are looked up through libnl, which is linked against the C library. Every symbol
 * stands with its C prototype. See libnl(3) at github.com/thom311/libnl, recv(2), poll(2).
 *
 * @module
 */

const LIBRARY = "libnl-3.so.200";
const PACKAGE = "libnl-3-200";

/** Every C function vipd calls, with its prototype. */
export const SYMBOLS = {
  /** struct nl_sock *nl_socket_alloc(void); */
  nl_socket_alloc: { parameters: [], result: "pointer" },
  /** void nl_socket_free(struct nl_sock *sk); */
  nl_socket_free: { parameters: ["pointer"], result: "void" },
  /** int nl_connect(struct nl_sock *sk, int protocol); */
  nl_connect: { parameters: ["pointer", "i32"], result: "i32" },
  /** void nl_close(struct nl_sock *sk); */
  nl_close: { parameters: ["pointer"], result: "void" },
  /** int nl_socket_get_fd(const struct nl_sock *sk); */
  nl_socket_get_fd: { parameters: ["pointer"], result: "i32" },
  /** int nl_sendto(struct nl_sock *sk, void *buf, size_t size); */
  nl_sendto: { parameters: ["pointer", "buffer", "usize"], result: "i32" },
  /** int nl_socket_add_membership(struct nl_sock *sk, int group); */
  nl_socket_add_membership: { parameters: ["pointer", "i32"], result: "i32" },
  /** ssize_t recv(int fd, void *buf, size_t len, int flags); */
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  /** int setsockopt(int fd, int level, int name, const void *value, socklen_t length); */
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  /** int socket(int domain, int type, int protocol); */
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  /** int getsockopt(int fd, int level, int name, void *value, socklen_t *length); */
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  /** int *__errno_location(void); */
  __errno_location: { parameters: [], result: "pointer" },
  /** int poll(struct pollfd *fds, nfds_t nfds, int timeout); waits on a thread of its own. */
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  /** int eventfd(unsigned int initval, int flags); */
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  /** ssize_t write(int fd, const void *buf, size_t count); */
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  /** int close(int fd); */
  close: { parameters: ["i32"], result: "i32" },
  /** int malloc_trim(size_t pad); */
  malloc_trim: { parameters: ["usize"], result: "i32" },
  /** sighandler_t signal(int signum, sighandler_t handler); */
  signal: { parameters: ["i32", "usize"], result: "usize" },
} as const;

/** The functions of {@linkcode SYMBOLS}. */
export type Libnl = Deno.StaticForeignLibraryInterface<typeof SYMBOLS>;

let loaded: Libnl | undefined;

/**
 * The library, loaded at first use and kept.
 *
 * @throws {Error} naming the Debian package when the library is missing.
 */
export function libnl(): Libnl {
  loaded ??= load();
  return loaded;
}

/** The errno of the last call on this thread. */
export function lastErrno(library: Libnl): number {
  const location = library.__errno_location();
  return location === null ? 0 : new Deno.UnsafePointerView(location).getInt32();
}

/** Gives memory that was freed back to the system; worth its while after a large list. */
export function trimMemory(): void {
  libnl().malloc_trim(0n);
}

/** Makes this process deaf to a signal, by number, before any listener sees it. */
export function ignoreSignal(signal: number): void {
  const SIG_IGN = 1n;
  libnl().signal(signal, SIG_IGN);
}

function load(): Libnl {
  try {
    return Deno.dlopen(LIBRARY, SYMBOLS).symbols;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) throw cause;
    throw new Error(`Cannot load ${LIBRARY}: install the Debian package ${PACKAGE}`, { cause });
  }
}
