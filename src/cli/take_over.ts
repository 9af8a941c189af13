/**
 * Whether vipd can start with the flags of a kube-proxy that still runs: asked before anything is
 * changed, so that a mistake in them costs nothing.
 *
 * @module
 */

import { parseArguments } from "./arguments.ts";
import { configure } from "./configure.ts";

/** Paths that the unit of vipd does not see: ProtectHome=, PrivateTmp=. */
const HIDDEN = /^\/(home|root|run\/user|tmp|var\/tmp)\//;

/**
 * Reads flags, configuration and kubeconfig as vipd will. `read` gives the text of a file,
 * undefined when there is none.
 *
 * @throws {Error} with what is wrong.
 */
export function requireUsable(
  args: readonly string[],
  read: (path: string) => string | undefined,
): void {
  const parsed = parseArguments(args);
  const { config: path, manifests } = parsed.own;
  const text = path === "" ? undefined : readNamed({ by: "--config", path }, read);
  const { config } = configure(parsed, text);
  const { kubeconfig } = config.clientConnection;
  if (kubeconfig !== "") readNamed({ by: "kubeconfig", path: kubeconfig }, read);
  if (manifests !== "") requireVisible({ by: "--manifests", path: manifests });
}

interface Named {
  /** The flag or field. */
  readonly by: string;
  readonly path: string;
}

function readNamed(named: Named, read: (path: string) => string | undefined): string {
  requireVisible(named);
  const text = read(named.path);
  if (text === undefined) throw new Error(`${named.by} names ${named.path}, which is not there`);
  return text;
}

function requireVisible({ by, path }: Named): void {
  if (!path.startsWith("/")) {
    throw new Error(`${by} names ${path}: name it from the root on, vipd starts in /`);
  }
  if (HIDDEN.test(path)) {
    throw new Error(`${by} names ${path}, which the unit of vipd cannot see: move it to /etc`);
  }
}
