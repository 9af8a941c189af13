/**
 * Who may import whom: the table of HOUSE 3.3 as data, and the question the lint asks it. Paths are
 * relative to the repository: "src/model/ip.ts".
 *
 * @module
 */

import { isEffectful } from "./house_lint_effects.ts";

/** The rooms each room may import, besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  model: [],
  log: [],
  config: ["model"],
  kernel: ["model", "log"],
  kube: ["model", "config", "log"],
  backend: ["model", "config", "kernel", "log"],
  server: ["model", "config", "log"],
  proxy: ["model", "config", "kernel", "kube", "backend", "server", "log"],
  cli: ["model", "config", "kernel", "kube", "backend", "proxy", "log"],
};

/** The table of modes is the only file of the backend room that knows them all. */
const MODE_TABLE = "src/backend/mod.ts";

/** One import, by the paths of both files. */
export interface Import {
  readonly from: string;
  readonly to: string;
  /** `import type`: gone when the program runs. */
  readonly isTypeOnly: boolean;
}

/** What is wrong with an import; undefined when nothing is. */
export function importProblem(edge: Import): string | undefined {
  const { from, to } = edge;
  if (isTest(from)) return undefined;
  if (from === "mod.ts") return faceProblem(edge);
  if (!from.startsWith("src/")) return undefined;
  if (!to.startsWith("src/")) return `${roomPath(from)} may not import ${to}`;
  if (isTest(to)) return `${from} may not import a test`;
  const [here, there] = [roomOf(from), roomOf(to)];
  if (here === undefined) return undefined;
  if (here !== there && !MAY_IMPORT[here]?.includes(there ?? "")) {
    return `${roomPath(from)} may not import ${roomPath(to)}`;
  }
  return modeProblem(edge);
}

/** A test may import anything and do anything a test may do. */
export function isTest(path: string): boolean {
  return path.startsWith("test/") || /(_test|_bench)\.tsx?$/.test(path);
}

/** The library's face has no effects on import. */
function faceProblem({ to, isTypeOnly }: Import): string | undefined {
  const room = roomOf(to);
  const isPure = to.startsWith("src/") && room !== "proxy" && room !== "server" && room !== "cli" &&
    to !== "src/main.ts" && !isEffectful(to);
  return isPure || isTypeOnly ? undefined : `mod.ts may import pure files only, not ${to}`;
}

/** Modes never import each other, and none of them the table that lists them. */
function modeProblem({ from, to }: Import): string | undefined {
  if (from === MODE_TABLE || roomOf(to) !== "backend" || roomOf(from) !== "backend") {
    return undefined;
  }
  const [here, there] = [modeOf(from), modeOf(to)];
  if (there !== undefined && here !== there) {
    return `${roomPath(from, here)} may not import ${roomPath(to, there)}`;
  }
  return to === MODE_TABLE ? `${from} may not import ${MODE_TABLE}` : undefined;
}

/**
 * `src/model/ip.ts` is in "model", `src/log_sink.ts` in "log"; undefined for src/main.ts, which
 * may import everything.
 */
function roomOf(path: string): string | undefined {
  const [, first = "", rest] = path.split("/");
  if (rest !== undefined) return first;
  return /^log(_.*)?\.ts$/.test(first) ? "log" : undefined;
}

function modeOf(path: string): string | undefined {
  return /^src\/backend\/([^/]+)\//.exec(path)?.[1];
}

function roomPath(path: string, mode?: string): string {
  const room = roomOf(path);
  if (room === undefined) return path;
  return mode === undefined ? `src/${room}` : `src/${room}/${mode}`;
}
