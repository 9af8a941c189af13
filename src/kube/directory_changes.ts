/**
 * Tells when something may have changed in a directory: after writes, renames and symlink swaps
 * have calmed down, and now and then even if the kernel said nothing (a network file system, a
 * link that leads out of the directory, a directory that was replaced).
 *
 * @module
 */

import type { Logger } from "../log.ts";
import type { Clock } from "./clock.ts";

const CALM_MS = 100;
/** Somebody who writes all the time is read in the middle of it. */
const MAX_CALM_ROUNDS = 10;
const POLL_MS = 10_000;

/** Yields until the signal aborts. */
export async function* directoryChanges(
  directory: string,
  { clock, log, signal }: { clock: Clock; log: Logger; signal: AbortSignal },
): AsyncGenerator<void> {
  const bell = new Bell();
  const watcher = watch(directory, { bell, log, signal });
  try {
    while (!signal.aborted) {
      if (!bell.hasRung) await clock.sleep(POLL_MS, AbortSignal.any([signal, bell.next()]));
      for (let round = 0; round < MAX_CALM_ROUNDS && (round === 0 || bell.hasRung); round++) {
        bell.reset();
        await clock.sleep(CALM_MS, signal);
      }
      if (!signal.aborted) yield;
    }
  } finally {
    watcher?.close();
  }
}

/** Remembers that something happened while nobody listened. */
class Bell {
  hasRung = false;
  #waiting = new AbortController();

  /** Aborts at the next ring. */
  next(): AbortSignal {
    return this.#waiting.signal;
  }

  ring(): void {
    this.hasRung = true;
    this.#waiting.abort();
    this.#waiting = new AbortController();
  }

  reset(): void {
    this.hasRung = false;
  }
}

function watch(
  directory: string,
  { bell, log, signal }: { bell: Bell; log: Logger; signal: AbortSignal },
): Deno.FsWatcher | undefined {
  try {
    const watcher = Deno.watchFs(directory, { recursive: false });
    const listen = async () => {
      for await (const { kind } of watcher) {
        if (kind !== "access") bell.ring();
      }
    };
    listen().catch((error) => {
      if (!signal.aborted) log.warn("Stopped watching a directory, polling it", { error });
    });
    return watcher;
  } catch (error) {
    log.warn("Cannot watch a directory, polling it", { directory, error });
    return undefined;
  }
}
