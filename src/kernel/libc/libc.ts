/**
 * The C library, for what Deno keeps from programs without `--allow-all` (files below /proc and
 * /sys) or does not have (datagrams to the service manager). Beside libnl.ts the only dlopen in the house; every symbol stands with its C prototype.
 *
 * @module
 */

const LIBRARY = "libc.so.6";

/** The symbols that are looked up, with their prototypes. */
export const SYMBOLS = {
  /** int open(const char *path, int flags); */
  open: { parameters: ["buffer", "i32"], result: "i32" },
  /** ssize_t read(int fd, void *buf, size_t count); */
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  /** ssize_t write(int fd, const void *buf, size_t count); */
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  /** int close(int fd); */
  close: { parameters: ["i32"], result: "i32" },
  /** int socket(int domain, int type, int protocol); */
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  /**
   * ssize_t sendto(int fd, const void *buf, size_t len, int flags,
   *                const struct sockaddr *address, socklen_t length);
   */
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  /** sighandler_t signal(int signum, sighandler_t handler); */
  signal: { parameters: ["i32", "pointer"], result: "pointer" },
  /** int malloc_trim(size_t pad); */
  malloc_trim: { parameters: ["usize"], result: "i32" },
  /** int *__errno_location(void); */
  __errno_location: { parameters: [], result: "pointer" },
} as const;

/** The functions of the C library that vipd calls. */
export type Libc = Deno.StaticForeignLibraryInterface<typeof SYMBOLS>;

let loaded: Libc | undefined;

/** The library, loaded at first use and kept. */
export function libc(): Libc {
  loaded ??= Deno.dlopen(LIBRARY, SYMBOLS).symbols;
  return loaded;
}

/** The errno of the last call on this thread. */
export function errno(): number {
  const location = libc().__errno_location();
  return location === null ? 0 : new Deno.UnsafePointerView(location).getInt32();
}
