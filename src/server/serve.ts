/**
 * Keeps a server open until the end: a port that is taken is tried again every 5 seconds (CLI-32),
 * or is the end of the program where the configuration says so.
 *
 * @module
 */

import { parseBindAddress } from "../config/bind_address.ts";
import type { HttpHandler, Listen, Listener } from "./http.ts";

const RETRY_MS = 5_000;

/** How a server is kept open. */
export interface ServeOptions {
  /** `ip:port` */
  readonly bindAddress: string;
  readonly handler: HttpHandler;
  readonly listen: Listen;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  /** Called for each failure to listen; throwing from here ends the attempts. */
  readonly onFailure: (error: unknown) => void;
  readonly onListening?: () => void;
}

/** Serves until the signal. Rejects with what `onFailure` throws. */
export async function serve(options: ServeOptions): Promise<void> {
  const { handler, signal } = options;
  const { ip, port } = parseBindAddress(options.bindAddress);
  while (!signal.aborted) {
    let listener: Listener;
    try {
      listener = await options.listen({ ip, port, handler });
    } catch (error) {
      options.onFailure(error);
      await options.sleep(RETRY_MS, signal);
      continue;
    }
    options.onListening?.();
    await ended(signal);
    await listener.close();
  }
}

function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
