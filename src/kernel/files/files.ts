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
}

/** The files of this host. */
export const FILES: Files = {
  read(path) {
    try {
      return Deno.readTextFileSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  },
  write(path, text) {
    Deno.mkdirSync(dirname(path), { recursive: true });
    Deno.writeTextFileSync(`${path}.new`, text, { mode: 0o644 });
    Deno.renameSync(`${path}.new`, path);
  },
  copyProgram(from, to) {
    Deno.mkdirSync(dirname(to), { recursive: true });
    Deno.copyFileSync(from, `${to}.new`);
    Deno.chmodSync(`${to}.new`, 0o755);
    Deno.renameSync(`${to}.new`, to);
  },
  remove(path) {
    try {
      Deno.removeSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  },
};
