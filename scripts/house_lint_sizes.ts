/**
 * How big a function or a file is, counted as HOUSE 3.2 does: lines of code, so that comments and
 * blank lines cost nothing.
 *
 * @module
 */

/** A function with a body, or without one in an overload. */
export type FunctionNode =
  | Deno.lint.FunctionDeclaration
  | Deno.lint.FunctionExpression
  | Deno.lint.ArrowFunctionExpression;

/** Part of a source text. */
export interface Excerpt {
  readonly text: string;
  /** Comments as [start, end) in the same offsets as `range`. */
  readonly comments: readonly (readonly [number, number])[];
  readonly range: readonly [number, number];
}

/** The lines that hold more than blanks and comments. */
export function codeLines({ text, comments, range }: Excerpt): number {
  let code = text.slice(...range);
  for (const [start, end] of comments.toReversed()) {
    if (start < range[0] || end > range[1]) continue;
    const kept = text.slice(start, end).replaceAll(/[^\n]/g, "");
    code = code.slice(0, start - range[0]) + kept + code.slice(end - range[0]);
  }
  return code.split("\n").filter((line) => line.trim() !== "").length;
}

/** One `return` of a literal, or one `switch` of which each case is one statement: a flat table. */
export function isFlatTable(node: FunctionNode): boolean {
  const { body } = node;
  if (body === null || body === undefined) return true;
  if (body.type !== "BlockStatement") return isLiteral(body);
  const [only, ...others] = body.body;
  if (only === undefined || others.length > 0) return false;
  if (only.type === "ReturnStatement") return only.argument !== null && isLiteral(only.argument);
  return only.type === "SwitchStatement" &&
    only.cases.every(({ consequent }) => consequent.length <= 1);
}

function isLiteral(node: Deno.lint.Node): boolean {
  switch (node.type) {
    case "ArrayExpression":
    case "ObjectExpression":
    case "TemplateLiteral":
      return true;
    case "NewExpression":
      return node.arguments.length === 1 && node.arguments.every(isLiteral);
    case "TSAsExpression":
    case "TSSatisfiesExpression":
      return isLiteral(node.expression);
    default:
      return false;
  }
}

/** Positional parameters; `this` is only a type. */
export function positionalParameters(node: FunctionNode): readonly Deno.lint.Parameter[] {
  return node.params.filter((each) => !(each.type === "Identifier" && each.name === "this"));
}

/** Whether a parameter can be the options object that ends a list of parameters. */
export function isOptions(parameter: Deno.lint.Parameter): boolean {
  if (parameter.type === "AssignmentPattern") return isOptions(parameter.left);
  if (parameter.type === "ObjectPattern") return true;
  if (parameter.type !== "Identifier") return false;
  const type = parameter.typeAnnotation?.typeAnnotation;
  return type?.type === "TSTypeReference" || type?.type === "TSTypeLiteral" ||
    type?.type === "TSIntersectionType";
}
