/**
 * Whether what was seen is what was expected, and how it is said in a few words.
 *
 * @module
 */

import type { Check } from "./checks.ts";
import type { Tally } from "./traffic.ts";

/** A line of the table, judged. */
export interface Verdict {
  readonly isRight: boolean;
  /** `web-1 8  web-3 7`, `refused`, `dropped` */
  readonly seen: string;
  /** What was wrong; "" when nothing. */
  readonly problem: string;
}

/** A pod that is picked by chance gets less than this share of its part once in some 10,000 runs. */
const LEAST_SHARE = 0.35;
/** With fewer questions for each pod chance is rough: then one hit is enough. */
const FAIR_COUNT = 40;

/** Compares. */
export function judge(check: Check, tally: Tally): Verdict {
  const problem = problemOf(check, tally) || clientProblem(check, tally);
  return { isRight: problem === "", seen: describe(check, tally), problem };
}

function problemOf({ expects, count }: Check, { hits }: Tally): string {
  const who = Object.keys(hits).sort();
  switch (expects.kind) {
    case "spread": {
      const strange = who.filter((name) => !expects.pods.includes(name));
      if (strange.length > 0) return `expected only ${expects.pods.join(", ")}`;
      const part = count / expects.pods.length;
      const least = part < FAIR_COUNT ? 1 : part * LEAST_SHARE;
      const starved = expects.pods.filter((pod) => (hits[pod] ?? 0) < least);
      return starved.length > 0 ? `too few hits for ${starved.join(", ")}` : "";
    }
    case "one":
      return who.length === 1 && /^web-\d$/.test(who[0] ?? "") ? "" : "expected one pod";
    case "each":
      return who.length === 1 && who[0] === expects.text ? "" : `expected ${word(expects.text)}`;
    case "text":
      return who.every((text) => expects.pattern.test(text)) ? "" : `expected ${expects.shown}`;
  }
}

function clientProblem({ client }: Check, { clients }: Tally): string {
  if (client === undefined || (clients.length === 1 && clients[0] === client)) return "";
  return `pods should see ${client}, saw ${clients.join(", ") || "nobody"}`;
}

function describe({ expects, client }: Check, tally: Tally): string {
  const entries = Object.entries(tally.hits).sort(([a], [b]) => a < b ? -1 : 1);
  const text = entries.map(([name, hits]) => {
    if (expects.kind === "text" && expects.pattern.test(name)) return expects.shown;
    const pod = /^web-(\d)$/.exec(name);
    return pod ? `w${pod[1]}:${hits}` : word(name);
  }).join(" ");
  if (expects.kind === "one") return `${text}, always`;
  return client === undefined ? text : `${text} saw ${tally.clients.join(",")}`;
}

function word(name: string): string {
  return name === "silence" ? "dropped" : name;
}
