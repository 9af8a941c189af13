/**
 * The table of proxy modes. A mode is loaded when it is asked for, so that iptables mode never
 * loads what only ipvs needs.
 *
 * @module
 */

import type { ProxyMode } from "../config/types.ts";
import type { Mode } from "./contract.ts";

/** All modes, in the order in which leftovers of others are removed. */
export const PROXY_MODES: readonly ProxyMode[] = ["ipvs", "iptables", "nftables"];

const LOADERS: Readonly<Partial<Record<ProxyMode, () => Promise<Mode>>>> = {
  iptables: async () => (await import("./iptables/backend.ts")).IPTABLES,
  ipvs: async () => (await import("./ipvs/backend.ts")).IPVS,
  nftables: async () => (await import("./nftables/backend.ts")).NFTABLES,
};

/** Loads a mode. Throws an Error when this build has none of this name. */
export async function loadMode(name: ProxyMode): Promise<Mode> {
  const load = LOADERS[name];
  if (load === undefined) {
    throw new Error(`Cannot use proxy mode ${JSON.stringify(name)}: it is not built in yet`);
  }
  return await load();
}

/** All modes of this build. */
export async function loadModes(): Promise<readonly Mode[]> {
  const loads = PROXY_MODES.map((name) => LOADERS[name]).filter((load) => load !== undefined);
  return await Promise.all(loads.map((load) => load()));
}
