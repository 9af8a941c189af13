/**
 * The desired table as `nft list table` would print it, in a canonical order: sets, maps and chains by
 * name, elements one a line. For people, and for comparing with captured tables.
 *
 * @module
 */

import { formatElement, formatListedRules } from "../../kernel/nft/print.ts";
import type { BaseHook, Chain, Container, NftFamily } from "../../kernel/nft/values.ts";
import { TABLE_COMMENT } from "./containers.ts";
import type { Part, Placed } from "./desired.ts";

/** The table that all parts together make. */
export function formatListing(parts: Iterable<Part>, family: NftFamily): string {
  const all = [...parts];
  const elements = Map.groupBy(all.flatMap((part) => part.elements), ({ set }) => set.name);
  const sets = all.flatMap((part) => part.sets).toSorted(bySetName);
  const chains = all.flatMap((part) => part.chains).toSorted(byName);
  const lines = [
    `comment "${TABLE_COMMENT}"`,
    ...sets.flatMap((set) => setLines(set, elements.get(set.name) ?? [])),
    ...chains.flatMap((chain) => chainLines(chain, family)),
  ];
  return [`table ${family} kube-proxy {`, ...indented(lines), "}", ""].join("\n");
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function bySetName(a: Container, b: Container): number {
  if (a.kind !== b.kind) return a.kind === "set" ? -1 : 1;
  return byName(a, b);
}

function setLines(set: Container, placed: readonly Placed[]): readonly string[] {
  const verdict = set.kind === "map" ? " : verdict" : "";
  const lines = [`type ${set.type.join(" . ")}${verdict}`];
  if (set.kind === "set" && set.timeoutSeconds !== undefined) {
    // The kernel's limit for sets that rules fill, as nft asks for it.
    lines.push("size 65535", "flags dynamic,timeout", `timeout ${duration(set.timeoutSeconds)}`);
  }
  if (set.comment !== undefined) lines.push(`comment "${set.comment}"`);
  const elements = [...new Set(placed.map(({ element }) => formatElement(element)))].sort();
  if (elements.length > 0) lines.push("elements = {", ...indented(elements), "}");
  return [`${set.kind} ${set.name} {`, ...indented(lines), "}"];
}

function chainLines(chain: Chain, family: NftFamily): readonly string[] {
  const lines = [...formatListedRules(chain, family)];
  if (chain.base !== undefined) lines.unshift(baseLine(chain.base));
  if (chain.comment !== undefined) lines.unshift(`comment "${chain.comment}"`);
  return [`chain ${chain.name} {`, ...indented(lines), "}"];
}

function baseLine({ type, hook, priority }: BaseHook): string {
  return `type ${type} hook ${hook} priority ${priorityName(hook, priority)}; policy accept;`;
}

/** The names that nft 1.0.6 finds for numbers; they depend on the hook. */
function priorityName(hook: BaseHook["hook"], priority: number): string {
  if (priority === 0) return "filter";
  if (hook === "prerouting" && priority === -100) return "dstnat";
  if (hook === "prerouting" && priority === -110) return "dstnat - 10";
  return hook === "postrouting" && priority === 100 ? "srcnat" : `${priority}`;
}

const UNITS = [["d", 86_400], ["h", 3_600], ["m", 60], ["s", 1]] as const;

/** `3h`, `1d`, `1m30s` */
function duration(seconds: number): string {
  let rest = seconds;
  let text = "";
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}

function indented(lines: readonly string[]): readonly string[] {
  return lines.map((line) => `\t${line}`);
}
