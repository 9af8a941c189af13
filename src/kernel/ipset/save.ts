/**
 * Reads what `ipset save` prints:
 *
 *     create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536 bucketsize 12
 *     add KUBE-CLUSTER-IP 10.96.0.1,tcp:443
 *
 * @module
 */

import type { ObservedSet } from "./values.ts";

/**
 * The sets by name. Options of entries, such as comments, are left out.
 *
 * @param isWanted Which names to read; other sets may be large and nobody's business.
 * @throws {SyntaxError} for a line that is neither, or an entry of a set that was not created.
 */
export function parseSave(
  text: string,
  isWanted: (name: string) => boolean,
): ReadonlyMap<string, ObservedSet> {
  const sets = new Map<string, ObservedSet & { readonly entries: Set<string> }>();
  for (const line of text.split("\n")) {
    const [verb = "", name = "", first = "", ...options] = line.split(" ");
    if (verb === "" || (name !== "" && !isWanted(name))) continue;
    if (verb === "create" && first !== "") {
      sets.set(name, { ...parseHeader(name, { type: first, options }), entries: new Set() });
    } else if (verb === "add" && first !== "" && sets.has(name)) sets.get(name)?.entries.add(first);
    else throw new SyntaxError(`Cannot parse ipset line ${JSON.stringify(line)}`);
  }
  return sets;
}

function parseHeader(
  name: string,
  { type, options }: { type: string; options: readonly string[] },
): Omit<ObservedSet, "entries"> {
  const valueOf = (option: string): string | undefined => {
    const at = options.indexOf(option);
    return at < 0 ? undefined : options[at + 1];
  };
  const family = valueOf("family");
  const maxElements = valueOf("maxelem");
  return {
    name,
    type: [type, ...limits(options)].join(" "),
    family: family === undefined ? undefined : family === "inet6" ? "IPv6" : "IPv4",
    maxElements: maxElements === undefined ? Infinity : Number(maxElements),
  };
}

/** Options that keep a set from holding what a plain one holds, so that it counts as another type. */
function limits(options: readonly string[]): readonly string[] {
  return options.flatMap((option, i) => {
    const value = options[i + 1];
    const isLimit = option === "netmask" || option === "timeout" ||
      (option === "range" && value !== "0-65535");
    return isLimit ? [`${option} ${value}`] : [];
  });
}
