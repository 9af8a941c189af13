/**
 * The canonical form of what `iptables-save` prints (README.md, "The dumps"): the order that
 * kube-proxy leaves to chance is put right, everything else stays as the kernel has it.
 *
 * @module
 */

interface Table {
  readonly name: string;
  /** `INPUT ACCEPT`, in the order of the hooks. */
  readonly builtIn: string[];
  readonly own: string[];
  readonly rulesByChain: Map<string, string[]>;
}

/** Chains in which neighbouring rules that name a port have no order of their own. */
const UNORDERED: Readonly<Record<string, readonly string[]>> = {
  nat: ["KUBE-SERVICES", "KUBE-NODEPORTS"],
  filter: [
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-NODEPORTS",
    "KUBE-PROXY-FIREWALL",
    "KUBE-IPVS-OUT-FILTER",
  ],
};

/** The canonical text; "" when no table holds anything of anybody. */
export function canonicalIptables(saved: string): string {
  return parseTables(saved)
    .filter((table) => !isPristine(table))
    .sort((a, b) => compare(a.name, b.name))
    .map(printTable)
    .join("");
}

function parseTables(saved: string): Table[] {
  const tables: Table[] = [];
  let table: Table | undefined;
  for (const line of saved.split("\n")) {
    if (line.startsWith("*")) {
      table = { name: line.slice(1), builtIn: [], own: [], rulesByChain: new Map() };
      tables.push(table);
    } else if (table && line.startsWith(":")) {
      const [chain = "", policy] = line.slice(1).split(" ");
      if (policy === "-") table.own.push(chain);
      else table.builtIn.push(`${chain} ${policy}`);
    } else if (table && line.startsWith("-A ")) {
      const chain = line.split(" ", 2)[1] ?? "";
      const rules = table.rulesByChain.get(chain) ?? [];
      table.rulesByChain.set(chain, rules);
      rules.push(line);
    }
  }
  return tables;
}

/** As the kernel makes it when somebody only looks. */
function isPristine({ builtIn, own, rulesByChain }: Table): boolean {
  return own.length === 0 && rulesByChain.size === 0 &&
    builtIn.every((chain) => chain.endsWith(" ACCEPT"));
}

function printTable({ name, builtIn, own, rulesByChain }: Table): string {
  const sorted = own.toSorted(compare);
  const chains = [...builtIn.map((chain) => chain.split(" ")[0] ?? ""), ...sorted];
  const lines = [
    `*${name}`,
    ...builtIn.map((chain) => `:${chain}`),
    ...sorted.map((chain) => `:${chain} -`),
    ...chains.flatMap((chain) => orderRules(rulesByChain.get(chain) ?? [], { table: name, chain })),
    "COMMIT",
  ];
  return `${lines.join("\n")}\n`;
}

interface Place {
  readonly table: string;
  readonly chain: string;
}

/** Sorts each run of neighbours that may be sorted, stably. */
function orderRules(rules: readonly string[], place: Place): string[] {
  if (!UNORDERED[place.table]?.includes(place.chain)) return [...rules];
  const ordered: string[] = [];
  let run: { readonly kind: string; readonly rules: string[] } = { kind: "", rules: [] };
  for (const rule of [...rules, ""]) {
    const kind = kindOf(rule, place);
    if (kind === "" || kind !== run.kind) {
      ordered.push(...run.rules.sort((a, b) => compareKeys(keyOf(a, place), keyOf(b, place))));
      run = { kind, rules: [] };
    }
    if (kind === "" && rule !== "") ordered.push(rule);
    else if (kind !== "") run.rules.push(rule);
  }
  return ordered;
}

/** "" for a rule that stays in its place. */
function kindOf(rule: string, { table, chain }: Place): "" | "port" | "nodePorts" {
  if (/ --dports? /.test(rule)) return "port";
  const isNodePortJump = table === "nat" && chain === "KUBE-SERVICES" &&
    rule.endsWith(" -j KUBE-NODEPORTS");
  return isNodePortJump ? "nodePorts" : "";
}

type Key = readonly (string | number)[];

function keyOf(rule: string, { table, chain }: Place): Key {
  const destination = option(rule, "-d");
  const protocol = option(rule, "-p");
  const port = Number(option(rule, "--dport"));
  if (chain !== "KUBE-NODEPORTS") return [destination, protocol, port];
  return table === "filter" ? [protocol, port, rule] : [protocol, port];
}

function option(rule: string, name: string): string {
  return new RegExp(` ${name} (\\S+)`).exec(rule)?.[1] ?? "";
}

function compareKeys(a: Key, b: Key): number {
  for (const [index, value] of a.entries()) {
    const order = compare(value, b[index] ?? "");
    if (order !== 0) return order;
  }
  return 0;
}

function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
