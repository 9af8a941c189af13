/**
 * The canonical form of what `nft list table` prints (README.md, "The dumps"): sets, maps and
 * chains by name, elements one a line, nothing that time or traffic changes.
 *
 *     set cluster-ips {
 *         type ipv4_addr
 *         elements = { 10.96.0.1, 10.96.0.10,
 *                      10.96.0.20 }
 *     }
 *
 * @module
 */

interface Block {
  readonly kind: "set" | "map" | "chain";
  readonly name: string;
  readonly lines: string[];
}

const KINDS = ["set", "map", "chain"] as const;

/** The canonical text of one table; "" when it is not there. */
export function canonicalNftables(listed: string): string {
  const [head = "", ...lines] = listed.trimEnd().split("\n");
  if (!head.startsWith("table ")) return "";
  const own: string[] = [];
  const blocks: Block[] = [];
  let block: Block | undefined;
  for (const line of lines.map((line) => line.trim())) {
    if (block) {
      if (line === "}" && isBalanced(block.lines)) block = undefined;
      else block.lines.push(line);
      continue;
    }
    block = startOfBlock(line);
    if (block) blocks.push(block);
    else if (line !== "" && line !== "}") own.push(`\t${line}`);
  }
  const sorted = KINDS.flatMap((kind) =>
    blocks.filter((one) => one.kind === kind).sort((a, b) => compare(a.name, b.name))
  );
  return [head, ...own, ...sorted.flatMap(printBlock), "}", ""].join("\n");
}

/** Tables by `nft list tables` that belong neither to the proxy nor to iptables. */
export function canonicalOtherTables(listed: string): string {
  const iptables = /^table (ip|ip6) (filter|nat|mangle|raw|security)$/;
  return listed.split("\n")
    .filter((line) => line !== "" && !/^table ip6? kube-proxy$/.test(line) && !iptables.test(line))
    .sort(compare).map((line) => `${line}\n`).join("");
}

function startOfBlock(line: string): Block | undefined {
  const [, kind, name = ""] = /^(set|map|chain) (\S+) \{/.exec(line) ?? [];
  const known = KINDS.find((one) => one === kind);
  return known && { kind: known, name, lines: [] };
}

/** False inside of the braces of `elements = {`. */
function isBalanced(lines: readonly string[]): boolean {
  const text = withoutQuotes(lines.join("\n"));
  return text.split("{").length === text.split("}").length;
}

function withoutQuotes(text: string): string {
  return text.replaceAll(/"[^"]*"/g, '""');
}

function printBlock({ kind, name, lines }: Block): string[] {
  const body = kind === "chain" ? lines.map(canonicalRule) : setLines(lines.join("\n"));
  return [`\t${kind} ${name} {`, ...body.map((line) => `\t\t${line}`), "\t}"];
}

function canonicalRule(line: string): string {
  return line
    .replaceAll(/ ?# handle \d+/g, "")
    .replaceAll(/counter packets \d+ bytes \d+ ?/g, "")
    .replaceAll(
      /\{ ([^{}]*) \}/g,
      (_whole, inner: string) => `{ ${splitElements(inner).sort(compareElements).join(", ")} }`,
    );
}

function setLines(text: string): string[] {
  const start = text.indexOf("elements = {");
  const header = (start < 0 ? text : text.slice(0, start)).split("\n").filter((line) =>
    line !== ""
  );
  if (start < 0) return header;
  const inner = text.slice(start + "elements = {".length, text.lastIndexOf("}"));
  const elements = splitElements(inner).map((element) =>
    element.replaceAll(/ (timeout|expires) \S+/g, "")
  );
  return [...header, "elements = {", ...elements.sort(compare).map((one) => `\t${one}`), "}"];
}

/** At commas and line ends outside of quotes. */
function splitElements(text: string): string[] {
  return [...text.matchAll(/(?:"[^"]*"|[^,"\n])+/g)]
    .map(([element]) => element.trim())
    .filter((element) => element !== "");
}

/** `2 : x` before `10 : y`. */
function compareElements(a: string, b: string): number {
  const [left, right] = [Number.parseInt(a), Number.parseInt(b)];
  const isNumbered = / : /.test(a) && Number.isInteger(left) && Number.isInteger(right);
  return isNumbered && left !== right ? left - right : compare(a, b);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
