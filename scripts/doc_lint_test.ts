import { deepStrictEqual } from "node:assert/strict";
import { isWanted, parseDocProblems } from "./doc_lint.ts";

const OUTPUT = `error[private-type-ref]: public type 'f' references private type 'G'
  --> /work/main/src/model/service.ts:15:3
   |
15 | export function f(g: G): void;
   = hint: make the referenced type public or remove the reference


error[missing-jsdoc]: exported symbol is missing JSDoc documentation
  --> /work/main/src/model/service.ts:20:12
   |
20 |   readonly family: IpFamily;

error: Found 2 documentation lint errors.
`;

Deno.test("parseDocProblems() finds rule, path and line of each", () => {
  const found = parseDocProblems(OUTPUT).map(({ rule, path, line }) => [rule, path, line]);
  deepStrictEqual(found, [
    ["private-type-ref", "/work/main/src/model/service.ts", 15],
    ["missing-jsdoc", "/work/main/src/model/service.ts", 20],
  ]);
  deepStrictEqual(parseDocProblems("error: Module not found\n"), []);
});

const WANTED = [
  ["private-type-ref", "  readonly family: IpFamily;", true],
  ["missing-jsdoc", "export function f(): void;", true],
  ["missing-jsdoc", "  readonly family: IpFamily;", false],
] as const;
for (const [rule, source, want] of WANTED) {
  Deno.test(`isWanted() is ${want} for ${rule} at ${JSON.stringify(source)}`, () => {
    const problem = { rule, path: "x.ts", line: 1, text: "" };
    deepStrictEqual([isWanted(problem, source)], [want]);
  });
}
