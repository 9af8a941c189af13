/**
 * Names of chains, equal to those of kube-proxy: anybody may look for them (FACTS IPT-01).
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Endpoint, Scope, ServicePortName } from "../../model/plan.ts";

/** Prefixes of the chains that exist per Service or endpoint, all in table nat (IPT-02). */
export const SERVICE_CHAIN_PREFIXES = [
  "KUBE-SVC-",
  "KUBE-SVL-",
  "KUBE-EXT-",
  "KUBE-FW-",
  "KUBE-SEP-",
] as const;

/** The chains of one ServicePort. */
export interface ServiceChainNames {
  /** Endpoints for policy Cluster, and for policy Local. */
  readonly policy: Readonly<Record<Scope, string>>;
  /** What traffic to external addresses meets first. */
  readonly external: string;
  /** What traffic to load-balancer VIPs with source ranges meets first. */
  readonly firewall: string;
}

/** Whether a chain of table nat is one of a Service or endpoint, of this or an earlier run. */
export function isServiceChain(chain: string): boolean {
  return SERVICE_CHAIN_PREFIXES.some((prefix) => chain.startsWith(prefix));
}

/** The names for one ServicePort; it need not have all of these chains. */
export function serviceChainNames(name: ServicePortName): ServiceChainNames {
  const hash = hashOf(hashedText(name));
  return {
    policy: { cluster: `KUBE-SVC-${hash}`, local: `KUBE-SVL-${hash}` },
    external: `KUBE-EXT-${hash}`,
    firewall: `KUBE-FW-${hash}`,
  };
}

/** The chain of one endpoint of a ServicePort. */
export function endpointChainName(name: ServicePortName, endpoint: Endpoint): string {
  return `KUBE-SEP-${hashOf(hashedText(name) + endpoint.text)}`;
}

function hashedText(name: ServicePortName): string {
  return name.text + name.protocol.toLowerCase();
}

const BASE32_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** The first 16 digits in base32 (RFC 4648) of the SHA-256: two times 40 bits. */
function hashOf(text: string): string {
  const digest = createHash("sha256").update(text).digest();
  return base32Of(digest, 0) + base32Of(digest, 5);
}

function base32Of(bytes: Uint8Array, from: number): string {
  let value = 0;
  for (let i = 0; i < 5; i++) value = value * 256 + (bytes[from + i] ?? 0);
  let digits = "";
  for (let i = 0; i < 8; i++) {
    digits = BASE32_DIGITS.charAt(value % 32) + digits;
    value = Math.floor(value / 32);
  }
  return digits;
}
