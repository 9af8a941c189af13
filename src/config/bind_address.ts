/**
 * Bind addresses: `ip`, `ip:port`, `[ip]:port`.
 *
 * @module
 */

import { formatHostPort, type IpAddress, parseIp } from "../model/ip.ts";

/** Where a server listens. */
export interface BindAddress {
  readonly ip: IpAddress;
  /** 1..65535. */
  readonly port: number;
}

/**
 * Parses `ip:port` or `[ip]:port`.
 *
 * @throws {SyntaxError} that says what is wrong with it.
 */
export function parseBindAddress(text: string): BindAddress {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*)):(.*)$/.exec(text) ?? [];
  if (port === undefined) throw new SyntaxError("must be IP:port");
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > 65_535) throw new SyntaxError("must have a port of 1 to 65535");
  return { ip: parseBoundIp(bracketed ?? plain ?? ""), port: number };
}

/** `text` with `port` added when it is only an address; anything else is returned as it is. */
export function withPort(text: string, port: number): string {
  try {
    return formatHostPort(parseIp(text.replace(/^\[(.*)\]$/, "$1")), port);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return text;
  }
}

function parseBoundIp(text: string): IpAddress {
  try {
    return parseIp(text);
  } catch (cause) {
    throw new SyntaxError("must have a valid IP", { cause });
  }
}
