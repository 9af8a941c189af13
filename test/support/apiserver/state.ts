/**
 * What the parts of one running server share.
 *
 * @module
 */

import type { User } from "./auth.ts";
import type { Faults } from "./faults.ts";
import type { Registry } from "./registry.ts";
import type { Store } from "./store.ts";
import type { Watch, WatchHost } from "./watching.ts";

/** The server's insides. */
export interface ServerState extends WatchHost {
  readonly store: Store;
  readonly registry: Registry;
  readonly faults: Faults;
  readonly tokens: ReadonlyMap<string, User>;
  readonly watches: Set<Watch>;
  /** Like a timer that ends with the server. */
  readonly sleep: (durationMs: number) => Promise<void>;
  /** Closes all connections at once, mid-word. */
  readonly killConnections: () => void;
  requestCount: number;
}
