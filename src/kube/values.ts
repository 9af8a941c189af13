/**
 * Values of fields, read leniently where Kubernetes is (SVC-12), or a problem that names the field.
 *
 * @module
 */

import { type Cidr, type IpAddress, parseCidr, parseIp } from "../model/ip.ts";
import type { Protocol } from "../model/objects.ts";
import type { Problems } from "./problems.ts";

/** Where a value stands and whom to tell that it cannot be used. */
export interface At {
  /** E.g. `spec.ports[0].port`. */
  readonly path: string;
  readonly problems: Problems;
}

const PROTOCOLS: readonly Protocol[] = ["TCP", "UDP", "SCTP"];

/** An address, or a problem. */
export function parseIpAt(
  value: unknown,
  at: At,
): IpAddress | undefined {
  return parseAt(value, { ...at, parse: parseIp, what: "not an IP address" });
}

/** A network, or a problem. Blanks around it do not matter (SVC-07). */
export function parseCidrAt(
  value: unknown,
  at: At,
): Cidr | undefined {
  return parseAt(value, { ...at, parse: (text) => parseCidr(text.trim()), what: "not a CIDR" });
}

/** A whole number within bounds, or a problem. */
export function parseIntegerAt(
  value: unknown,
  at: At & { min: number; max: number },
): number | undefined {
  if (Number.isInteger(value) && Number(value) >= at.min && Number(value) <= at.max) {
    return Number(value);
  }
  at.problems.add(at.path, {
    why: `not a whole number from ${at.min} to ${at.max}`,
    value: value ?? null,
  });
  return undefined;
}

/** A port number, or a problem. */
export function parsePortAt(value: unknown, at: At): number | undefined {
  return parseIntegerAt(value, { ...at, min: 1, max: 65535 });
}

/** A protocol, TCP when there is none, or a problem. */
export function parseProtocolAt(value: unknown, { path, problems }: At): Protocol | undefined {
  if (value === undefined || value === null || value === "") return "TCP";
  const protocol = PROTOCOLS.find((each) => each === value);
  if (protocol === undefined) problems.add(path, { why: "not TCP, UDP or SCTP", value });
  return protocol;
}

function parseAt<T>(
  value: unknown,
  at: At & { parse: (text: string) => T; what: string },
): T | undefined {
  if (typeof value === "string") {
    try {
      return at.parse(value);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  at.problems.add(at.path, { why: at.what, value: value ?? null });
  return undefined;
}
