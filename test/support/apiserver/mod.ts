/**
 * The embedded API server; see server.ts for how to use it.
 *
 * @module
 */

export * from "./server.ts";
export { type CertificateAuthority, createAuthority, type KeyPair } from "./certificates.ts";
export type { ArmedFault, Fault, FaultKind } from "./faults.ts";
export { kubeconfig } from "./files.ts";
export type { Json, JsonObject } from "./json.ts";
export { StatusError } from "./status.ts";
