/**
 * The fences of the house as a Deno lint plugin: who may import whom, where effects may be, and how
 * big things get (HOUSE 3.2 to 3.4). `deno lint` runs it; deno.json says so.
 *
 * @module
 */

import {
  EFFECT_MEMBERS,
  EFFECT_NAMES,
  isEffectful,
  isEffectfulModule,
} from "./house_lint_effects.ts";
import { importProblem, isTest } from "./house_lint_rooms.ts";
import {
  codeLines,
  type FunctionNode,
  isFlatTable,
  isOptions,
  positionalParameters,
} from "./house_lint_sizes.ts";

const MAX_FUNCTION_LINES = 60;
const MAX_FILE_LINES = 400;
const MAX_PARAMETERS = 2;
const MAX_NESTING = 3;

const ROOT = new URL("..", import.meta.url).pathname;

type Context = Deno.lint.RuleContext;
type Visitor = Deno.lint.LintVisitor;

function repositoryPath(context: Context): string {
  const { filename } = context;
  return filename.startsWith(ROOT) ? filename.slice(ROOT.length) : filename;
}

/** A rule that looks at every import and re-export of a file. */
function onImports(
  check: (node: Deno.lint.Node, source: { specifier: string; isTypeOnly: boolean }) => void,
): Visitor {
  return {
    ImportDeclaration: (node) =>
      check(node, { specifier: node.source.value, isTypeOnly: node.importKind === "type" }),
    ExportAllDeclaration: (node) =>
      check(node, { specifier: node.source.value, isTypeOnly: node.exportKind === "type" }),
    ExportNamedDeclaration(node) {
      if (node.source === null) return;
      check(node, { specifier: node.source.value, isTypeOnly: node.exportKind === "type" });
    },
    ImportExpression(node) {
      const { source } = node;
      if (source.type !== "Literal" || typeof source.value !== "string") return;
      check(node, { specifier: source.value, isTypeOnly: false });
    },
  };
}

const importDirection: Deno.lint.Rule = {
  create(context) {
    const from = repositoryPath(context);
    return onImports((node, { specifier, isTypeOnly }) => {
      if (!specifier.startsWith(".")) return;
      const to = new URL(specifier, `file:///${from}`).pathname.slice(1);
      const message = importProblem({ from, to, isTypeOnly });
      if (message === undefined) return;
      context.report({ node, message, hint: "See the import table in ARCHITECTURE.md" });
    });
  },
};

const pureByDefault: Deno.lint.Rule = {
  create(context) {
    const path = repositoryPath(context);
    const isFree = isTest(path) || isEffectful(path) ||
      !(path.startsWith("src/") || path === "mod.ts");
    if (isFree) return {};
    const report = (node: Deno.lint.Node, name: string) =>
      context.report({
        node,
        message: `${name} is an effect, and ${path} is pure`,
        hint: "Take it as an argument, or see where pure code ends in ARCHITECTURE.md",
      });
    return { ...effectsByImport(report), ...effectsByName(report) };
  },
};

type Report = (node: Deno.lint.Node, name: string) => void;

function effectsByImport(report: Report): Visitor {
  return onImports((node, { specifier, isTypeOnly }) => {
    if (!isTypeOnly && isEffectfulModule(specifier)) report(node, specifier);
  });
}

function effectsByName(report: Report): Visitor {
  const suspects: Deno.lint.Identifier[] = [];
  const declared = new Set<string>();
  return {
    Identifier(node) {
      if (!EFFECT_NAMES.has(node.name)) return;
      if (isDeclaration(node)) declared.add(node.name);
      else if (isValue(node)) suspects.push(node);
    },
    MemberExpression(node) {
      const name = memberName(node);
      if (name === undefined) return;
      const [object, member = ""] = name.split(".");
      if (EFFECT_MEMBERS.has(name)) report(node, name);
      if (object === "globalThis" && EFFECT_NAMES.has(member)) report(node, name);
    },
    NewExpression(node) {
      const isDate = node.callee.type === "Identifier" && node.callee.name === "Date";
      if (isDate && node.arguments.length === 0) report(node, "new Date()");
    },
    "Program:exit"() {
      for (const node of suspects) {
        if (!declared.has(node.name)) report(node, node.name);
      }
    },
  };
}

function memberName(node: Deno.lint.MemberExpression): string | undefined {
  const { object, property } = node;
  if (object.type !== "Identifier" || node.computed || property.type !== "Identifier") {
    return undefined;
  }
  return `${object.name}.${property.name}`;
}

/** A parameter, variable, function or import of its own hides the global name. */
function isDeclaration(node: Deno.lint.Identifier): boolean {
  const { parent } = node;
  switch (parent.type) {
    case "FunctionDeclaration":
    case "FunctionExpression":
    case "ArrowFunctionExpression":
      return parent.body !== node;
    case "VariableDeclarator":
      return parent.id === node;
    case "Property":
      return parent.parent.type === "ObjectPattern" && parent.value === node;
    case "AssignmentPattern":
      return parent.left === node;
    default:
      return ["ImportSpecifier", "TSParameterProperty", "ArrayPattern"].includes(parent.type);
  }
}

/** Not the name of a member, of a property, or in a type. */
function isValue(node: Deno.lint.Identifier): boolean {
  const { parent } = node;
  switch (parent.type) {
    case "MemberExpression":
      return parent.object === node || parent.computed;
    case "Property":
      return parent.value === node || parent.computed;
    case "MethodDefinition":
    case "PropertyDefinition":
      return parent.key !== node || parent.computed;
    default:
      return !parent.type.startsWith("TS") ||
        ["TSAsExpression", "TSSatisfiesExpression", "TSNonNullExpression"].includes(parent.type);
  }
}

/** A rule that looks at every function. */
function onFunctions(check: (node: FunctionNode) => void): Visitor {
  return {
    FunctionDeclaration: check,
    FunctionExpression: check,
    ArrowFunctionExpression: check,
  };
}

function linesOf(context: Context, range: readonly [number, number]): number {
  const { sourceCode } = context;
  const comments = sourceCode.getAllComments().map((comment) => comment.range);
  return codeLines({ text: sourceCode.text, comments, range });
}

const functionLength: Deno.lint.Rule = {
  create(context) {
    return onFunctions((node) => {
      // Cheap first: a text with so few line ends cannot be too long.
      const ends = context.sourceCode.getText(node).split("\n").length;
      if (ends <= MAX_FUNCTION_LINES || isFlatTable(node)) return;
      const lines = linesOf(context, node.range);
      if (lines <= MAX_FUNCTION_LINES) return;
      context.report({
        node,
        message: `A function of ${lines} lines, ${MAX_FUNCTION_LINES} are the most`,
        hint: "Make it a list of steps, each a function: see sizes in ARCHITECTURE.md",
      });
    });
  },
};

const fileLength: Deno.lint.Rule = {
  create(context) {
    if (isTest(repositoryPath(context))) return {};
    return {
      Program(node) {
        const lines = linesOf(context, [0, context.sourceCode.text.length]);
        if (lines <= MAX_FILE_LINES) return;
        context.report({
          node,
          message: `A file of ${lines} lines, ${MAX_FILE_LINES} are the most`,
          hint: "Split it by what it knows: see sizes in ARCHITECTURE.md",
        });
      },
    };
  },
};

const maxParameters: Deno.lint.Rule = {
  create(context) {
    return onFunctions((node) => {
      if (isTypedElsewhere(node) || isErrorConstructor(node)) return;
      const [last, ...rest] = positionalParameters(node).toReversed();
      if (last === undefined || rest.length < MAX_PARAMETERS) return;
      if (rest.length === MAX_PARAMETERS && isOptions(last)) return;
      context.report({
        range: last.range,
        message: `${rest.length + 1} positional parameters, ${MAX_PARAMETERS} are the most`,
        hint: "Two, then an options object: see sizes in ARCHITECTURE.md",
      });
    });
  },
};

/** What a callee passes to a callback, or an interface asks for, is not the function's choice. */
function isTypedElsewhere(node: FunctionNode): boolean {
  return node.parent.type === "CallExpression" ||
    node.params.every((each) => {
      const name = each.type === "AssignmentPattern" ? each.left : each;
      return name.type === "Identifier" && name.typeAnnotation === undefined;
    });
}

function isErrorConstructor(node: FunctionNode): boolean {
  const { parent } = node;
  if (parent.type !== "MethodDefinition" || parent.kind !== "constructor") return false;
  const { superClass } = parent.parent.parent;
  return superClass?.type === "Identifier" && superClass.name.endsWith("Error");
}

const maxNesting: Deno.lint.Rule = {
  create(context) {
    const check = (node: Deno.lint.Node) => {
      // Reported once, where the line is crossed.
      if (nestingOf(node, context) !== MAX_NESTING + 1) return;
      context.report({
        node,
        message: `Nested ${MAX_NESTING + 1} deep, ${MAX_NESTING} is the most`,
        hint: "Return early, or name the inner part: see sizes in ARCHITECTURE.md",
      });
    };
    return Object.fromEntries(NESTING.map((type) => [type, check]));
  },
};

const NESTING = [
  "IfStatement",
  "ForStatement",
  "ForInStatement",
  "ForOfStatement",
  "WhileStatement",
  "DoWhileStatement",
  "SwitchStatement",
  "TryStatement",
];

/** How deep in its own function a statement stands; `else if` goes no deeper. */
function nestingOf(node: Deno.lint.Node, context: Context): number {
  const chain = [...context.sourceCode.getAncestors(node), node];
  const start = chain.findLastIndex(({ type }) => type.includes("Function"));
  return chain.slice(start + 1).filter((each, i, own) =>
    NESTING.includes(each.type) && !isElseIf(each, own[i - 1])
  ).length;
}

function isElseIf(node: Deno.lint.Node, parent: Deno.lint.Node | undefined): boolean {
  return node.type === "IfStatement" && parent?.type === "IfStatement" &&
    parent.alternate?.range[0] === node.range[0];
}

/** The rules, `house/<name>` in messages and in `deno-lint-ignore`. */
const plugin: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "import-direction": importDirection,
    "pure-by-default": pureByDefault,
    "function-length": functionLength,
    "file-length": fileLength,
    "max-parameters": maxParameters,
    "max-nesting": maxNesting,
  },
};
export default plugin;
