/**
 * Kernel parameters below /proc/sys, by path: `net/ipv4/ip_forward`.
 *
 * @module
 */

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
  read(name) {
    try {
      return Deno.readTextFileSync(`/proc/sys/${name}`).trim();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  },
  ensure(name, value) {
    if (SYSCTLS.read(name) === value) return;
    try {
      // Never create: a missing parameter is an error, not a new file.
      Deno.writeTextFileSync(`/proc/sys/${name}`, value, { create: false });
    } catch (cause) {
      throw new SysctlError(name, value, { cause });
    }
  },
};
