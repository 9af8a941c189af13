import { deepStrictEqual } from "node:assert/strict";
import plugin from "./house_lint.ts";
import { importProblem } from "./house_lint_rooms.ts";

/** `rule: message` of everything the plugin says about a file, in order. */
function lint(path: string, source: string): readonly string[] {
  return Deno.lint.runPlugin(plugin, path, source).map(({ id, message }) =>
    `${id.slice("house/".length)}: ${message}`
  );
}

const IMPORTS = [
  ["src/model/plan.ts", "src/model/ip.ts", undefined],
  ["src/model/plan.ts", "src/kernel/exec/run.ts", "src/model may not import src/kernel"],
  ["src/model/plan.ts", "src/log.ts", "src/model may not import src/log"],
  ["src/config/types.ts", "src/model/ip.ts", undefined],
  ["src/config/types.ts", "src/log.ts", "src/config may not import src/log"],
  ["src/config/types.ts", "src/kube/store.ts", "src/config may not import src/kube"],
  ["src/kernel/nft/print.ts", "src/model/ip.ts", undefined],
  ["src/kernel/nft/print.ts", "src/kernel/exec/run.ts", undefined],
  ["src/kernel/nft/print.ts", "src/log.ts", undefined],
  ["src/kernel/nft/print.ts", "src/config/types.ts", "src/kernel may not import src/config"],
  ["src/kernel/nft/print.ts", "src/backend/contract.ts", "src/kernel may not import src/backend"],
  ["src/kube/store.ts", "src/config/types.ts", undefined],
  ["src/kube/store.ts", "src/kernel/exec/run.ts", "src/kube may not import src/kernel"],
  ["src/backend/ipvs/render.ts", "src/backend/ipvs/sets.ts", undefined],
  ["src/backend/ipvs/render.ts", "src/backend/contract.ts", undefined],
  ["src/backend/ipvs/render.ts", "src/kernel/ipset/values.ts", undefined],
  ["src/backend/ipvs/render.ts", "src/kube/store.ts", "src/backend may not import src/kube"],
  [
    "src/backend/ipvs/render.ts",
    "src/backend/iptables/render.ts",
    "src/backend/ipvs may not import src/backend/iptables",
  ],
  [
    "src/backend/ipvs/render.ts",
    "src/backend/mod.ts",
    "src/backend/ipvs/render.ts may not import src/backend/mod.ts",
  ],
  ["src/backend/mod.ts", "src/backend/ipvs/mode.ts", undefined],
  [
    "src/backend/contract.ts",
    "src/backend/ipvs/mode.ts",
    "src/backend may not import src/backend/ipvs",
  ],
  ["src/server/http.ts", "src/model/plan.ts", undefined],
  ["src/server/http.ts", "src/backend/contract.ts", "src/server may not import src/backend"],
  ["src/proxy/sync.ts", "src/backend/contract.ts", undefined],
  ["src/proxy/sync.ts", "src/server/http.ts", undefined],
  ["src/proxy/sync.ts", "src/cli/run.ts", "src/proxy may not import src/cli"],
  ["src/cli/run.ts", "src/proxy/sync.ts", undefined],
  ["src/cli/run.ts", "src/server/http.ts", "src/cli may not import src/server"],
  ["src/log_sink.ts", "src/log.ts", undefined],
  ["src/log.ts", "src/config/types.ts", "src/log may not import src/config"],
  ["src/main.ts", "src/cli/run.ts", undefined],
  ["src/model/ip.ts", "src/main.ts", "src/model may not import src/main.ts"],
  ["src/model/ip.ts", "test/support/x.ts", "src/model may not import test/support/x.ts"],
  ["src/model/ip.ts", "src/model/ip_test.ts", "src/model/ip.ts may not import a test"],
  ["src/model/ip_test.ts", "test/support/x.ts", undefined],
  ["test/e2e/x_test.ts", "src/kernel/exec/run.ts", undefined],
  ["scripts/ok.ts", "src/main.ts", undefined],
  ["mod.ts", "src/model/planner.ts", undefined],
  ["mod.ts", "src/backend/iptables/render.ts", undefined],
  ["mod.ts", "src/main.ts", "mod.ts may import pure files only, not src/main.ts"],
  ["mod.ts", "src/proxy/sync.ts", "mod.ts may import pure files only, not src/proxy/sync.ts"],
] as const;
for (const [from, to, want] of IMPORTS) {
  Deno.test(`import-direction: ${from} ${want ? "may not" : "may"} import ${to}`, () => {
    deepStrictEqual(importProblem({ from, to, isTypeOnly: false }), want);
  });
}

Deno.test("import-direction: mod.ts may name the types of any file", () => {
  const edge = { from: "mod.ts", to: "src/main.ts", isTypeOnly: true };
  deepStrictEqual(importProblem(edge), undefined);
});

const UPWARD = [
  `import { run } from "../kernel/exec/run.ts";`,
  `import type { Run } from "../kernel/exec/run.ts";`,
  `export { run } from "../kernel/exec/run.ts";`,
  `export * from "../kernel/exec/run.ts";`,
  `const run = await import("../kernel/exec/run.ts");`,
];
for (const source of UPWARD) {
  Deno.test(`import-direction sees ${source}`, () => {
    deepStrictEqual(lint("src/model/x.ts", source), [
      "import-direction: src/model may not import src/kernel",
    ]);
  });
}

Deno.test("import-direction gives a hint", () => {
  const [diagnostic] = Deno.lint.runPlugin(plugin, "src/model/x.ts", UPWARD[0] ?? "");
  deepStrictEqual(diagnostic?.hint, "See the import table in ARCHITECTURE.md");
});

const EFFECTS = [
  [`Deno.readTextFile("x");`, ["Deno"]],
  [`const { env } = process;`, ["process"]],
  [`const answer = fetch("https://x");`, ["fetch"]],
  [`call(fetch);`, ["fetch"]],
  [`console.log(1);`, ["console"]],
  [`setTimeout(f, 1); clearTimeout(1); setInterval(f, 1);`, [
    "setTimeout",
    "clearTimeout",
    "setInterval",
  ]],
  [`const at = Date.now();`, ["Date.now"]],
  [`const at = new Date();`, ["new Date()"]],
  [`const n = Math.random();`, ["Math.random"]],
  [`performance.now();`, ["performance"]],
  [`globalThis.Deno.exit();`, ["globalThis.Deno"]],
  [`const f = (get = fetch) => get();`, ["fetch"]],
  [`const all = { fetch };`, ["fetch"]],
  [`const name = "p"; const x = { [process]: 1 };`, ["process"]],
  [`import fs from "node:fs";`, ["node:fs"]],
  [`import { readFileSync } from "node:fs";`, ["node:fs"]],
  [`export { connect } from "node:net";`, ["node:net"]],
] as const;
for (const [source, names] of EFFECTS) {
  Deno.test(`pure-by-default refuses ${source}`, () => {
    deepStrictEqual(
      lint("src/model/x.ts", source),
      names.map((name) => `pure-by-default: ${name} is an effect, and src/model/x.ts is pure`),
    );
  });
}

const PURE = [
  `import { createHash } from "node:crypto";`,
  `import type { Socket } from "node:net";`,
  `let listener: Deno.Listener;`,
  `type Fetch = typeof fetch;`,
  `function f(fetch: () => void) { fetch(); }`,
  `const f = ({ performance }: Part) => performance;`,
  `const f = ({ fetch = none }: Part, console = silent) => fetch(console);`,
  `import { fetch } from "./transport.ts"; fetch();`,
  `const x = { process: 1, console() {} }; x.process; x.console();`,
  `class A { fetch() {} process = 1; }`,
  `interface B { fetch(): void; process: string }`,
  `const at = new Date(0); Math.floor(1.5);`,
  `// Deno.exit() and console.log() in a comment`,
];
for (const source of PURE) {
  Deno.test(`pure-by-default allows ${source}`, () => {
    deepStrictEqual(lint("src/kernel/nft/x.ts", source), []);
  });
}

for (
  const path of ["src/main.ts", "src/model/x_test.ts", "test/x.ts", "scripts/x.ts", "build.ts"]
) {
  Deno.test(`pure-by-default leaves ${path} alone`, () => {
    deepStrictEqual(lint(path, `console.log(Date.now());`), []);
  });
}

Deno.test("pure-by-default holds for mod.ts", () => {
  deepStrictEqual(lint("mod.ts", `Deno.exit();`), [
    "pure-by-default: Deno is an effect, and mod.ts is pure",
  ]);
});

function lines(count: number, line = "  f();"): string {
  return `${line}\n`.repeat(count);
}

const LONG = "function-length: A function of 61 lines, 60 are the most";
const FUNCTIONS: readonly [string, string, readonly string[]][] = [
  ["60 lines", `function f() {\n${lines(58)}}`, []],
  ["61 lines", `function f() {\n${lines(59)}}`, [LONG]],
  ["61 lines in an arrow", `const f = () => {\n${lines(59)}};`, [LONG]],
  ["61 lines in a method", `class A {\n  f() {\n${lines(59)}  }\n}`, [LONG]],
  [
    "comments and blank lines are free",
    `function f() {\n${lines(58)}${lines(9, "// ünicode")}
/* one
   two */
}`,
    [],
  ],
  ["a table", `function f() {\n  return [\n${lines(99, "    [1, 2],")}  ];\n}`, []],
  ["a table of named values", `const f = () => ({\n${lines(99, "  a: 1,")}});`, []],
  ["a flat switch", `function f() {\n  switch (a) {\n${lines(99, "case 1: return 1;")}  }\n}`, []],
  [
    "a switch that does things",
    `function f() {\n  switch (a) {\n${lines(57, "case 1: g(); return 1;")}  }\n}`,
    [LONG],
  ],
];
for (const [what, source, want] of FUNCTIONS) {
  Deno.test(`function-length: ${what}`, () =>
    deepStrictEqual(lint("src/model/x.ts", source), want));
}

Deno.test("file-length counts lines of code, in what is not a test", () => {
  deepStrictEqual(lint("src/model/x.ts", lines(400) + lines(50, "// why")), []);
  deepStrictEqual(lint("src/model/x.ts", lines(401)), [
    "file-length: A file of 401 lines, 400 are the most",
  ]);
  deepStrictEqual(lint("src/model/x_test.ts", lines(401)), []);
});

const THREE = "max-parameters: 3 positional parameters, 2 are the most";
const FOUR = "max-parameters: 4 positional parameters, 2 are the most";
const PARAMETERS = [
  ["function f(a: A, b: B) {}", []],
  ["function f(a: A, b: B, options: Options) {}", []],
  ["function f(a: A, b: B, { c }: { c: string }) {}", []],
  ["function f(a: A, b: B, options: Options = {}) {}", []],
  ["function f(a: A, b: B, c: string) {}", [THREE]],
  ["function f(a: A, b: B, c = 1) {}", [THREE]],
  ["function f(a: A, b: B, c: string[]) {}", [THREE]],
  ["function f(a: A, b: B, c: C, d: D) {}", [FOUR]],
  ["function f(this: X, a: A, b: B) {}", []],
  ["const f = (a: A, b: B, c: number) => a;", [THREE]],
  ["class A { m(a: A, b: B, c: number) {} }", [THREE]],
  ["class A { constructor(a: A, b: B, readonly c: number) {} }", [THREE]],
  ["class E extends Error { constructor(readonly a: A, b: B, c: number) { super(); } }", []],
  ["list.reduce((sum, each, i) => sum + i, 0);", []],
  ["const log: Logger = { v: (level, message, fields = {}) => f() };", []],
  ["const log = { v(level: number, message: string, fields = 1) {} };", [THREE]],
] as const;
for (const [source, want] of PARAMETERS) {
  Deno.test(`max-parameters: ${source}`, () => {
    deepStrictEqual(lint("src/model/x.ts", source), want);
  });
}

const DEEP = ["max-nesting: Nested 4 deep, 3 is the most"];
const NESTED = [
  ["if (a) for (const b of c) while (d) e();", []],
  ["if (a) for (const b of c) while (d) { if (e) f(); }", DEEP],
  ["if (a) b(); else if (c) d(); else if (e) f(); else if (g) h();", []],
  ["if (a) b(); else { if (c) { if (d) { if (e) f(); } } }", DEEP],
  ["if (a) { if (b) { if (c) { const f = () => { if (d) e(); }; } } }", []],
  ["try { switch (a) { case 1: do { if (b) c(); } while (d); } } finally { e(); }", DEEP],
  ["if (a) { if (b) { if (c) { if (d) { if (e) f(); } } } }", DEEP],
] as const;
for (const [source, want] of NESTED) {
  Deno.test(`max-nesting: ${source}`, () => {
    deepStrictEqual(lint("src/model/x.ts", `function f() { ${source} }`), want);
  });
}
