/**
 * Files of this host that `vipd install` and `--write-config-to` write.
 *
 * @module
 */

import { dirname } from "node:path";

/** Files of a host. */
export interface Files {
  /** The text; undefined when there is no such file. */
  read(path: string): string | undefined;
  /** Writes the whole file, with its directories, so that readers see the old text or the new. */
  write(path: string, text: string): void;
  /** Copies a program so that it can be run, also over one that is running. */
  copyProgram(from: string, to: string): void;
  /** Fine when there is no such file. */
  remove(path: string): void;
  /** Where it is when all links are followed; undefined when there is nothing. */
  realPath(path: string): string | undefined;
}

/** A file that cannot be changed. */
export class FileError extends Error {
  override readonly name = "FileError";
  /** Of the file. */
  readonly path: string;
  constructor({ verb, path }: { verb: string; path: string }, options: { cause: Error }) {
    // What the runtime says ends with the call: "Read-only file system (os error 30): open '…'".
    const why = options.cause.message.replace(/ \(os error.*$/s, "");
    super(`Cannot ${verb} ${path}: ${why}`, options);
    this.path = path;
  }
}

function attempt(what: { verb: string; path: string }, change: () => void): void {
  try {
    change();
  } catch (cause) {
    if (cause instanceof Error) throw new FileError(what, { cause });
    throw cause;
  }
}

/** The files of this host. */
export const FILES: Files = {
  read(path) {
    return unlessMissing(() => Deno.readTextFileSync(path));
  },
  write(path, text) {
    attempt({ verb: "write", path }, () => {
      Deno.mkdirSync(dirname(path), { recursive: true });
      replace(path, (next) => Deno.writeTextFileSync(next, text, { mode: 0o644 }));
    });
  },
  copyProgram(from, to) {
    attempt({ verb: "write", path: to }, () => {
      Deno.mkdirSync(dirname(to), { recursive: true });
      replace(to, (next) => {
        Deno.copyFileSync(from, next);
        Deno.chmodSync(next, 0o755);
      });
    });
  },
  remove(path) {
    // On a read-only file system removing fails also where there is nothing.
    attempt({ verb: "remove", path }, () => {
      if (isThere(path)) Deno.removeSync(path);
    });
  },
  realPath(path) {
    return unlessMissing(() => Deno.realPathSync(path));
  },
};

/** Readers see the old file or the new one; a failure leaves nothing behind. */
function replace(path: string, write: (next: string) => void): void {
  const next = `${path}.new`;
  try {
    write(next);
    Deno.renameSync(next, path);
  } catch (error) {
    if (isThere(next)) Deno.removeSync(next);
    throw error;
  }
}

function isThere(path: string): boolean {
  return unlessMissing(() => Deno.lstatSync(path)) !== undefined;
}

function unlessMissing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
