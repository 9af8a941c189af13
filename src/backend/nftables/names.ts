/**
 * The names that kube-proxy 1.36 gives to the chains and sets of services (FACTS NFT-06):
 * `service-4EXRWL7U-ns/name/tcp/port`, where the hash is of all that stands behind it.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { isName } from "../../kernel/nft/names.ts";
import type { Endpoint, ServicePortName } from "../../model/plan.ts";

/** What a chain of a ServicePort is for. */
export type ServiceChainKind = "service" | "local" | "external" | "firewall";

/** Hash and name together; longer ones end in `...`. */
const MAX_BASE_LENGTH = 240;

/** The part of the names of all chains of a ServicePort behind their kind. */
export function serviceBase(name: ServicePortName): string {
  return hashed(pathOf(name));
}

/** The part of the names of the chain and the affinity set of an endpoint behind their kind. */
export function endpointBase(name: ServicePortName, endpoint: Endpoint): string {
  // Neither brackets nor colons may stand in a name.
  return hashed(`${pathOf(name)}__${endpoint.ip.replaceAll(":", ".")}/${endpoint.port}`);
}

/** Whether a chain was made for a service: static ones have no slash. */
export function isServiceName(name: string): boolean {
  return name.includes("/");
}

/** Whether a set was made for an endpoint of a service with affinity. */
export function isAffinityName(name: string): boolean {
  return name.startsWith("affinity-");
}

function pathOf({ namespace, name, protocol, port }: ServicePortName): string {
  return `${namespace}/${name}/${protocol.toLowerCase()}/${port}`;
}

function hashed(text: string): string {
  const base = `${base32(createHash("sha256").update(text).digest())}-${text}`;
  return base.length > MAX_BASE_LENGTH ? `${base.slice(0, MAX_BASE_LENGTH - 3)}...` : base;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** The first 8 characters of the base32 (RFC 4648) of the bytes: their first 40 bits. */
function base32(bytes: Uint8Array): string {
  let bits = 0n;
  for (const byte of bytes.subarray(0, 5)) bits = bits << 8n | BigInt(byte);
  let text = "";
  for (let shift = 35n; shift >= 0n; shift -= 5n) text += ALPHABET[Number(bits >> shift & 31n)];
  return text;
}

/** Why no chain can be named after a ServicePort; undefined when one can. */
export function nameProblem(name: ServicePortName): string | undefined {
  if (isName(`service-${serviceBase(name)}`)) return undefined;
  return `nft cannot say the name ${JSON.stringify(name.text)}`;
}
