/**
 * Removes what demos leave: namespaces with all that runs in them, and their directories.
 *
 * @module
 */

import { ended } from "../../test/support/process.ts";
import { TAG } from "./topology.ts";

/** Removes what this process has made, also when it is only half made. */
export async function removeOwn(): Promise<void> {
  await remove(`${TAG}-${Deno.pid}-`);
}

/** Removes what demos that have ended left, those kept too. */
export async function removeAll(): Promise<void> {
  await remove(`${TAG}-`);
}

/**
 * Processes first: a namespace lives as long as one of them. Directories are looked for where this
 * kernel makes them: in user-mode-linux /tmp is the host's, whose processes are not in its /proc.
 */
async function remove(prefix: string): Promise<void> {
  const script = `
    for path in /run/netns/${prefix}* ; do
      [ -e "$path" ] || continue
      name=\${path##*/}
      owner=\${name#${TAG}-}; owner=\${owner%%-*}
      [ "$owner" != "$1" ] && [ "$2" = all ] && [ -d /proc/$owner ] && continue
      pids=$(ip netns pids "$name") && [ -n "$pids" ] && kill -9 $pids
      ip netns del "$name"
    done
    for path in "\${TMPDIR:-/tmp}"/${prefix}*; do
      [ -d "$path" ] || continue
      owner=\${path##*/${TAG}-}; owner=\${owner%%-*}
      [ "$owner" != "$1" ] && [ -d /proc/$owner ] && continue
      rm -rf "$path"
    done`;
  const scope = prefix === `${TAG}-` ? "all" : "own";
  await ended(["sh", "-s", String(Deno.pid), scope], { stdin: script });
}
