/**
 * Values in nft's own words: lines for `nft -f -`, and rules as `nft list` would print them.
 *
 * The two differ where nft says a thing otherwise than it is told: networks of an anonymous set come
 * back merged, `dnat ip addr . port to` as `dnat ip to`. The listed form is what rules are compared by.
 *
 * @module
 */

import { type Cidr, formatCidr, formatHostPort } from "../../model/ip.ts";
import { formatInterval, mergeCidrs } from "./intervals.ts";
import { checkedName, quotedComment, quotedInterface } from "./names.ts";
import type {
  Chain,
  ChainHead,
  Command,
  Container,
  Element,
  NftFamily,
  Rule,
  Selector,
  Statement,
  TableName,
  Transaction,
  Verdict,
} from "./values.ts";

/** How a rule is printed. */
export interface Style {
  /** Of the table. */
  readonly family: NftFamily;
  /** As nft prints it, not as it is told. */
  readonly listed: boolean;
}

/** Lines for `nft -f -`; the n-th command is the n-th line. */
export function formatTransaction(transaction: Transaction): string {
  return transaction.commands.map((command) => `${formatCommand(command, transaction.table)}\n`)
    .join("");
}

/**
 * One command.
 *
 * @throws {RangeError} when nft has no words for one of its names.
 */
export function formatCommand(command: Command, table: TableName): string {
  const at = `${table.family} ${checkedName(table.name)}`;
  switch (command.op) {
    case "add-table":
      return `add table ${at} { comment ${quotedComment(command.comment)} ; }`;
    case "delete-table":
      return `delete table ${at}`;
    case "add-chain":
      return `add chain ${at} ${checkedName(command.chain.name)}${chainSpec(command.chain)}`;
    case "flush-chain":
      return `flush chain ${at} ${checkedName(command.chain)}`;
    case "delete-chain":
      return `delete chain ${at} ${checkedName(command.chain)}`;
    case "add-rule":
      return `add rule ${at} ${checkedName(command.chain)} ${
        formatRule(command.rule, { family: table.family, listed: false })
      }`;
    case "add-set":
      return `add ${command.set.kind} ${at} ${checkedName(command.set.name)} ${
        containerSpec(command.set)
      }`;
    case "delete-set":
      return `delete ${command.set.kind} ${at} ${checkedName(command.set.name)}`;
    case "add-element":
      return `add element ${at} ${checkedName(command.set.name)} { ${
        formatElement(command.element)
      } }`;
    case "delete-element":
      return `delete element ${at} ${checkedName(command.set.name)} { ${
        keyText(command.element)
      } }`;
  }
}

/** `10.0.0.1 . tcp . 80 comment "x" : goto y` */
export function formatElement(element: Element): string {
  const comment = element.comment === undefined ? "" : ` comment ${quotedComment(element.comment)}`;
  const verdict = element.verdict === undefined ? "" : ` : ${formatVerdict(element.verdict)}`;
  return keyText(element) + comment + verdict;
}

/** A rule in one line. */
export function formatRule(rule: Rule, style: Style): string {
  const words = rule.statements.map((statement) => formatStatement(statement, style));
  if (rule.comment !== undefined) words.push(`comment ${quotedComment(rule.comment)}`);
  return words.join(" ");
}

/** The rules of a chain as `nft list` prints them: equal text, equal rules. */
export function formatListedRules(chain: Chain, family: NftFamily): readonly string[] {
  return chain.rules.map((rule) => formatRule(rule, { family, listed: true }));
}

/** `goto x`, `drop` … */
export function formatVerdict(verdict: Verdict): string {
  return "chain" in verdict ? `${verdict.kind} ${checkedName(verdict.chain)}` : verdict.kind;
}

/** A mark as nft prints it: `0x00004000`. */
export function formatMark(bits: number): string {
  return `0x${bits.toString(16).padStart(8, "0")}`;
}

/** Parts of keys are addresses, protocols and numbers: nothing that nft would read otherwise. */
const KEY_PART = /^[0-9a-fA-F:.]+$|^[a-z][a-z0-9.+-]*$/;

function keyText(element: Element): string {
  for (const part of element.key) {
    if (!KEY_PART.test(part)) throw new RangeError(`Not a part of a key: ${JSON.stringify(part)}`);
  }
  return element.key.join(" . ");
}

function chainSpec(chain: ChainHead): string {
  const parts: string[] = [];
  if (chain.base !== undefined) {
    const { type, hook, priority, policy } = chain.base;
    parts.push(`type ${type} hook ${hook} priority ${priority} ;`);
    if (policy !== undefined) parts.push(`policy ${policy} ;`);
  }
  if (chain.comment !== undefined) parts.push(`comment ${quotedComment(chain.comment)} ;`);
  return parts.length === 0 ? "" : ` { ${parts.join(" ")} }`;
}

function containerSpec(set: Container): string {
  const verdict = set.kind === "map" ? " : verdict" : "";
  const parts = [`type ${set.type.join(" . ")}${verdict} ;`];
  if (set.kind === "set" && set.timeoutSeconds !== undefined) {
    parts.push(`flags dynamic,timeout ; timeout ${set.timeoutSeconds}s ;`);
  }
  if (set.comment !== undefined) parts.push(`comment ${quotedComment(set.comment)} ;`);
  return `{ ${parts.join(" ")} }`;
}

function formatStatement(statement: Statement, style: Style): string {
  switch (statement.kind) {
    case "address":
      return `${style.family} ${statement.side} ${unless(statement)}${networks(statement, style)}`;
    case "in-set":
      return `${selectors(statement.key, style)} @${checkedName(statement.set)}`;
    case "iifname": {
      const name = quotedInterface(statement.name);
      return `iifname ${unless(statement)}${statement.prefix ? `${name.slice(0, -1)}*"` : name}`;
    }
    case "ct-state":
      return `ct state ${statement.state}`;
    case "ct-status":
      return `ct status ${statement.status}`;
    case "fib-type":
      return `fib ${statement.side} type ${statement.type}`;
    case "l4proto":
      return `meta l4proto ${statement.protocol}`;
    case "mark-any":
      return markTest(statement.bits, style);
    case "mark-set":
      return `meta mark set meta mark ${statement.op === "or" ? "|" : "^"} ${
        formatMark(statement.bits)
      }`;
    case "vmap":
      return `${selectors(statement.key, style)} vmap @${checkedName(statement.map)}`;
    case "pick-chain":
      return pick("vmap", statement.chains.map((chain) => `goto ${checkedName(chain)}`));
    case "pick-dnat":
      return `dnat ${style.family}${style.listed ? "" : " addr . port"} to ${
        pick("map", statement.targets.map(({ ip, port }) => `${ip} . ${port}`))
      }`;
    case "dnat":
      return `dnat to ${formatHostPort(statement.target.ip, statement.target.port)}`;
    case "update":
      return `update @${checkedName(statement.set)} { ${style.family} ${statement.key} }`;
    case "masquerade":
      return "masquerade fully-random";
    case "reject":
      return "reject";
    default:
      return formatVerdict(statement);
  }
}

function unless({ not }: { readonly not?: boolean }): string {
  return not ? "!= " : "";
}

function networks({ of }: { readonly of: readonly Cidr[] }, style: Style): string {
  const bits = style.family === "ip" ? 32 : 128;
  const text = style.listed
    ? mergeCidrs(of).map((interval) => formatInterval(interval, bits))
    : of.map(formatCidr);
  return of.length === 1 ? text.join() : `{ ${text.join(", ")} }`;
}

/** nft 1.0.6 takes the comparison of the highest bits with zero for a prefix when it lists. */
function markTest(bits: number, { listed }: Style): string {
  const isPrefix = listed && bits === 0x80000000;
  if (isPrefix) return "meta mark != 0x00000000/1";
  return `meta mark & ${formatMark(bits)} != 0x00000000`;
}

function pick(map: "map" | "vmap", values: readonly string[]): string {
  const entries = values.map((value, i) => `${i} : ${value}`);
  return `numgen random mod ${values.length} ${map} { ${entries.join(", ")} }`;
}

function selectors(key: readonly Selector[], { family }: Style): string {
  return key.map((selector) => SELECTOR[selector].replace("IP", family)).join(" . ");
}

const SELECTOR: Readonly<Record<Selector, string>> = {
  saddr: "IP saddr",
  daddr: "IP daddr",
  l4proto: "meta l4proto",
  dport: "th dport",
};
