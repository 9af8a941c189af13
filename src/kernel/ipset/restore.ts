/**
 * Changes -> the lines that `ipset restore` takes.
 *
 * @module
 */

import type { SetChange } from "./diff.ts";
import { formatCreate } from "./values.ts";

/**
 * The name under which a larger set is built before it takes the place of the one that is too
 * small. One after the other is built and gone again, so one name does.
 */
export const GROWING = "KUBE-GROWING";

/** Everything in one text; "" when there is nothing to do. */
export function formatRestore(changes: readonly SetChange[]): string {
  return changes.map(formatChange).join("");
}

/** Lines that remove sets; they must not be in use. */
export function formatDestroy(names: readonly string[]): string {
  return names.map((name) => `destroy ${name}\n`).join("");
}

function formatChange({ header, kind, add, remove }: SetChange): string {
  const { name } = header;
  const target = kind === "replace" ? GROWING : name;
  let text = "";
  if (kind === "create") text += `${formatCreate(header)}\n`;
  if (kind === "replace") text += `${formatCreate({ ...header, name: GROWING })}\n`;
  // Removals first: what is replaced may need the room.
  for (const entry of remove) text += `del ${target} ${entry}\n`;
  for (const entry of add) text += `add ${target} ${entry}\n`;
  // Rules go on meaning the name while the sets behind it change places.
  if (kind === "replace") text += `swap ${GROWING} ${name}\ndestroy ${GROWING}\n`;
  return text;
}
