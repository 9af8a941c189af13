/**
 * `deno doc --lint` for a program: every exported symbol says what it is and names only types one
 * can look up. Members of a type may speak for themselves, which `deno doc` cannot be told.
 *
 * @module
 */

/** One diagnostic of `deno doc --lint`. */
export interface DocProblem {
  readonly rule: string;
  readonly path: string;
  /** From 1. */
  readonly line: number;
  /** As it was printed. */
  readonly text: string;
}

/**
 * Splits what `deno doc --lint` prints:
 *
 *     error[missing-jsdoc]: exported symbol is missing JSDoc documentation
 *       --> /work/main/src/model/plan.ts:15:12
 */
export function parseDocProblems(output: string): readonly DocProblem[] {
  return output.split(/^(?=error\[)/m).flatMap((text) => {
    const match = /^error\[(.+?)\].*\n\s*--> (.+):(\d+):\d+$/m.exec(text);
    if (match === null) return [];
    const [, rule = "", path = "", line = ""] = match;
    return [{ rule, path, line: Number(line), text: text.trimEnd() }];
  });
}

/** Whether a problem counts, given the line of source it points to. */
export function isWanted(problem: DocProblem, sourceLine: string): boolean {
  return problem.rule !== "missing-jsdoc" || !/^\s/.test(sourceLine);
}

/** The problems of all files in a folder that are not tests, as they were printed. */
export async function lintDocs(folder: string): Promise<readonly string[]> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lint", ...await sourceFiles(folder)],
    stdin: "null",
    env: { NO_COLOR: "1" },
  });
  const { code, stderr } = await command.output();
  const output = new TextDecoder().decode(stderr);
  const problems = parseDocProblems(output);
  if (code !== 0 && problems.length === 0) return [output];
  const wanted: string[] = [];
  for (const problem of problems) {
    const lines = (await Deno.readTextFile(problem.path)).split("\n");
    if (isWanted(problem, lines[problem.line - 1] ?? "")) wanted.push(problem.text);
  }
  return wanted;
}

async function sourceFiles(folder: string): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) files.push(...await sourceFiles(path));
    else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) files.push(path);
  }
  return files.sort();
}
