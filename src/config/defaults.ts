/**
 * Settings with defaults applied: every field has a value, or undefined where vipd chooses.
 *
 * @module
 */

import { familyOf, parseIp } from "../model/ip.ts";
import { withPort } from "./bind_address.ts";
import {
  type Field,
  FIELD_PATHS,
  type FieldPath,
  FIELDS,
  type FieldValue,
  type Settings,
} from "./fields.ts";

/** Fields without a default: vipd chooses. */
export type Open = "iptables.minSyncPeriod" | "ipvs.minSyncPeriod" | "nftables.minSyncPeriod";

/** A value for every field. */
export type Values = {
  readonly [P in FieldPath]: FieldValue<P> | (P extends Open ? undefined : never);
};

/** Ports of the two servers. */
const HEALTHZ_PORT = 10_256;
const METRICS_PORT = 10_249;

/** Completes what was given. */
export function parseValues(settings: Settings): Values {
  const values: Record<string, unknown> = {};
  for (const path of FIELD_PATHS) values[path] = withDefault(FIELDS[path], settings[path]);
  const isIpv6 = isIpv6Address(String(values["bindAddress"]));
  const healthz = settings["healthzBindAddress"] || (isIpv6 ? "::" : "0.0.0.0");
  const metrics = settings["metricsBindAddress"] || (isIpv6 ? "::1" : "127.0.0.1");
  const isNftables = values["mode"] === "nftables";
  values["healthzBindAddress"] = withPort(healthz, HEALTHZ_PORT);
  values["metricsBindAddress"] = withPort(metrics, METRICS_PORT);
  if (isNftables && isEmpty(values["nodePortAddresses"])) values["nodePortAddresses"] = ["primary"];
  return values as Values;
}

function withDefault(field: Field, given: unknown): unknown {
  const isUnset = given === undefined || (!field.isZeroKept && isZero(given));
  return isUnset ? field.initial : given;
}

function isZero(value: unknown): boolean {
  return value === 0 || value === "" || value === false || isEmpty(value);
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function isIpv6Address(text: string): boolean {
  try {
    return familyOf(parseIp(text)) === "IPv6";
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return false; // validation names it
  }
}
