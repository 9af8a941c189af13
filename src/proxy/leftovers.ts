/**
 * What other modes left in the kernel. It is removed once the new mode is complete, for every pair
 * of modes (vipd's answer to CLEAN-01 and CLEAN-02): traffic never meets a gap, and best effort.
 *
 * @module
 */

import type { Mode } from "../backend/contract.ts";
import { loadModes } from "../backend/mod.ts";
import type { KubeProxyConfiguration, ProxyMode } from "../config/types.ts";
import type { Logger } from "../log.ts";

/** What removing needs. */
export interface LeftoversOptions {
  readonly config: KubeProxyConfiguration;
  readonly log: Logger;
}

/** Both write iptables chains, some of the same name. */
const SHARING: readonly ProxyMode[] = ["iptables", "ipvs"];

/** Removes what modes other than the active one left. Failures are logged. */
export async function removeLeftovers(
  active: ProxyMode,
  { config, log }: LeftoversOptions,
): Promise<void> {
  for (const mode of await loadModes()) {
    if (mode.name === active) continue;
    for (const error of await leftoversOf(mode, { active, config, log })) {
      log.info("Cannot remove what another mode left", { mode: mode.name, error });
    }
  }
}

/** `--cleanup`: everything of all modes. Returns whether all steps went well. */
export async function cleanupAll({ config, log }: LeftoversOptions): Promise<boolean> {
  const errors: Error[] = [];
  for (const mode of await loadModes()) {
    for (const error of await caught(() => mode.cleanup({ config, log }))) {
      log.error("Cannot tear down rules", { mode: mode.name, error });
      errors.push(error);
    }
  }
  return errors.length === 0;
}

async function leftoversOf(
  mode: Mode,
  { active, config, log }: LeftoversOptions & { active: ProxyMode },
): Promise<readonly Error[]> {
  const { removeLeftovers } = mode;
  if (removeLeftovers !== undefined) {
    return await caught(() => removeLeftovers({ active, config, log }));
  }
  // Without knowing what to spare, cleaning would take the active mode's chains away.
  if (SHARING.includes(mode.name) && SHARING.includes(active)) return [];
  return await caught(() => mode.cleanup({ config, log }));
}

async function caught(
  clean: () => Promise<readonly Error[]>,
): Promise<readonly Error[]> {
  try {
    return await clean();
  } catch (error) {
    return [error instanceof Error ? error : new Error(String(error))];
  }
}
