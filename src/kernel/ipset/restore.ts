/**
 * Changes -> the lines that `ipset restore` takes.
 *
 * @module
 */

import type { IpFamily } from "../../model/ip.ts";
import type { SetChange } from "./diff.ts";
import { formatCreate } from "./values.ts";

/**
 * Names under which a larger set is built before it takes the place of the one that is too small:
 * one per family, because both may be written at the same time.
 */
export const GROWING: Readonly<Record<IpFamily, string>> = {
  IPv4: "KUBE-GROWING",
  IPv6: "KUBE-6-GROWING",
};

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
  if (kind === "replace" && header.type !== "bitmap:port") {
    const growing = GROWING[header.family];
    // Rules go on meaning the name while the sets behind it change places.
    return `${formatCreate({ ...header, name: growing })}\n` + formatEntries(growing, { add }) +
      `swap ${growing} ${name}\ndestroy ${growing}\n`;
  }
  const create = kind === "create" ? `${formatCreate(header)}\n` : "";
  return create + formatEntries(name, { add, remove });
}

/** Removals first: what is added may need the room. */
function formatEntries(
  name: string,
  { add, remove = [] }: { add: readonly string[]; remove?: readonly string[] },
): string {
  return remove.map((entry) => `del ${name} ${entry}\n`).join("") +
    add.map((entry) => `add ${name} ${entry}\n`).join("");
}
