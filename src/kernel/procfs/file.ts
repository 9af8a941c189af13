/**
 * Files below /proc and /sys, read and written by the C library: Deno itself opens them only for
 * programs with every permission.
 *
 * @module
 */

import { getSystemErrorName } from "node:util";
import { errno, libc } from "../libc/libc.ts";

const O_RDONLY = 0;
const O_WRONLY = 1;
const O_CLOEXEC = 0o2000000;
const CHUNK = 64 * 1024;

/** A file of the kernel that could not be read or written. */
export class ProcFileError extends Error {
  override readonly name = "ProcFileError";
  constructor(readonly operation: "read" | "write", readonly path: string, readonly errno: number) {
    super(`Cannot ${operation} ${path}: ${getSystemErrorName(-errno)}`);
  }
}

/** Whether the kernel has no such file. */
export function isMissing(error: unknown): boolean {
  return error instanceof ProcFileError && getSystemErrorName(-error.errno) === "ENOENT";
}

/** The whole file. Throws {@linkcode ProcFileError}. */
export function readProcFile(path: string): string {
  const fd = open(path, "read");
  try {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(CHUNK);
    for (let text = "";;) {
      const length = Number(libc().read(fd, buffer, BigInt(CHUNK)));
      if (length < 0) throw new ProcFileError("read", path, errno());
      if (length === 0) return text;
      text += decoder.decode(buffer.subarray(0, length), { stream: true });
    }
  } finally {
    libc().close(fd);
  }
}

/** Writes in one system call, which is how the kernel takes a value. Never creates a file. */
export function writeProcFile(path: string, text: string): void {
  const fd = open(path, "write");
  try {
    const bytes = new TextEncoder().encode(text);
    const length = Number(libc().write(fd, bytes, BigInt(bytes.length)));
    if (length < 0) throw new ProcFileError("write", path, errno());
  } finally {
    libc().close(fd);
  }
}

function open(path: string, operation: "read" | "write"): number {
  const flags = (operation === "read" ? O_RDONLY : O_WRONLY) | O_CLOEXEC;
  const fd = libc().open(new TextEncoder().encode(`${path}\0`), flags);
  if (fd < 0) throw new ProcFileError(operation, path, errno());
  return fd;
}
