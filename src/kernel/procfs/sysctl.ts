/**
 * Kernel parameters below /proc/sys, by path: `net/ipv4/ip_forward`.
 *
 * @module
 */

import { isMissing, readProcFile, writeProcFile } from "./file.ts";

/** Reads and writes parameters of the network namespace vipd runs in. */
export interface Sysctls {
  /** The trimmed value; undefined when the kernel has no such parameter. */
  read(name: string): string | undefined;
  /**
   * Writes the value unless it is there already. Throws a {@linkcode SysctlError} when the
   * parameter is missing or may not be written.
   */
  ensure(name: string, value: string): void;
}

/** A parameter that could not be written. */
export class SysctlError extends Error {
  override readonly name = "SysctlError";
  constructor(readonly sysctl: string, readonly value: string, options?: ErrorOptions) {
    const cause = options?.cause instanceof Error ? `: ${options.cause.message}` : "";
    super(`Cannot set sysctl ${sysctl} to ${JSON.stringify(value)}${cause}`, options);
  }
}

/** The parameters of this host. */
export const SYSCTLS: Sysctls = {
  read(name: string): string | undefined {
    try {
      return readProcFile(`/proc/sys/${name}`).trim();
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  },
  ensure(name: string, value: string): void {
    if (SYSCTLS.read(name) === value) return;
    try {
      writeProcFile(`/proc/sys/${name}`, value);
    } catch (cause) {
      throw new SysctlError(name, value, { cause });
    }
  },
};
