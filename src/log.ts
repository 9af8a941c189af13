/**
 * Log lines as operators of kube-proxy know them. The message is a constant one can grep for,
 * values are fields with lowerCamelCase keys.
 *
 * @module
 */

/** Values beside a message. Errors are printed with their causes. */
export type Fields = Readonly<Record<string, unknown>>;

/** Where lines of one program go. */
export interface Logger {
  /** Something is wrong; logged once, by whoever decides what happens next. */
  error(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  /** `info` when `-v` is at least `level`; a function is only called then. */
  v(level: number, message: string, fields?: Fields | (() => Fields)): void;
}

/** A logger that says nothing; for tests and embedding. */
export const SILENT: Logger = { error() {}, warn() {}, info() {}, v() {} };
