/**
 * Looks every now and then whether others changed something.
 *
 * @module
 */

import { pause } from "../../kernel/clock/pause.ts";

/** Calls `look` after each period until abort; says what it found. */
export async function watchKernel(
  look: () => string | undefined,
  { onDrift, periodMs, signal }: {
    onDrift: (what: string) => void;
    periodMs: number;
    signal: AbortSignal;
  },
): Promise<void> {
  while (!signal.aborted) {
    await pause(periodMs, signal);
    const what = signal.aborted ? undefined : look();
    if (what !== undefined) onDrift(what);
  }
}
