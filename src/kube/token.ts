/**
 * Bearer tokens. A mounted service account token is replaced by the kubelet about once an hour, so
 * a token that came from a file is read again after a minute, or when the server refuses it.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import type { Authorization } from "./connection.ts";

const MAX_AGE_MS = 60_000;

/** No credentials in a header. */
export const NO_AUTHORIZATION: Authorization = {
  header: () => Promise.resolve(undefined),
  distrust: () => {},
};

/** The same header each time. */
export function fixedAuthorization(header: string): Authorization {
  return { header: () => Promise.resolve(header), distrust: () => {} };
}

/** `user:password`, as RFC 7617 wants it. */
export function basicAuthorization(username: string, password: string): Authorization {
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  return fixedAuthorization(`Basic ${btoa(String.fromCharCode(...bytes))}`);
}

/** Where a token file is read from, and what to send until that has worked once. */
export interface TokenFileOptions {
  /** Reads the file. */
  readonly read: () => Promise<string>;
  /** "": none. */
  readonly fallbackToken: string;
  readonly clock: Pick<Clock, "nowMs">;
}

/** The last token that could be read. Rejects while there is none. */
export function tokenFileAuthorization(options: TokenFileOptions): Authorization {
  return new TokenFile(options);
}

class TokenFile implements Authorization {
  readonly #options: TokenFileOptions;
  #token: string;
  #readMs = -Infinity;

  constructor(options: TokenFileOptions) {
    this.#options = options;
    this.#token = options.fallbackToken;
  }

  async header(): Promise<string> {
    const now = this.#options.clock.nowMs();
    if (Math.abs(now - this.#readMs) >= MAX_AGE_MS) await this.#read(now);
    return `Bearer ${this.#token}`;
  }

  distrust(): void {
    this.#readMs = -Infinity;
  }

  async #read(now: number): Promise<void> {
    try {
      const token = (await this.#options.read()).trim();
      if (token === "") throw new Error("Cannot use the token file: it is empty");
      this.#token = token;
      this.#readMs = now;
    } catch (error) {
      // While a volume is being swapped the old token is as good as ever.
      if (this.#token === "") throw error;
    }
  }
}
