import { PgdbaError } from "../errors.ts";

/** A node of cel-js's syntax tree, as far as it is used here. `pos` of a `.` node is where its key starts. */
interface Base {
  pos: number;
  start: number;
  end: number;
}
export type Binary = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "+" | "-" | "*" | "/" | "%";
export type Node = Base &
  (
    | { op: "value"; args: null | boolean | bigint | number | string | object }
    | { op: "id"; args: string }
    | { op: "."; args: [Node, string] }
    | { op: "[]"; args: [Node, Node] }
    | { op: "call"; args: [string, Node[]] }
    | { op: "rcall"; args: [string, Node, Node[]] }
    | { op: "list"; args: Node[] }
    | { op: "map"; args: [Node, Node][] }
    | { op: "?:"; args: [Node, Node, Node] }
    | { op: "||" | "&&"; args: [Node, Node] }
    | { op: Binary; args: [Node, Node] }
    | { op: "!_"; args: Node }
    | { op: "-_"; args: Node }
  );

const MACROS = ["all", "exists", "exists_one", "map", "filter"];
/** Names that are called like functions but are part of the language. */
export const FUNCTION_SCOPE = ["has", ...MACROS];

export type Macro = { name: string; list: Node; variable: string; filter?: Node; body: Node };

/** The parts of `list.map(x, …)` and its kin; undefined for a plain method call. The parser has checked their shape. */
export function macroOf(node: Node): Macro | undefined {
  if (node.op !== "rcall") return undefined;
  const [name, list, args] = node.args;
  const [variable, first, second] = args;
  if (!MACROS.includes(name) || variable?.op !== "id" || !first || args.length > 3)
    return undefined;
  if (!second) return { name, list, variable: variable.args, body: first };
  return name === "map"
    ? { name, list, variable: variable.args, filter: first, body: second }
    : undefined;
}

/** The parts of `cel.bind(x, value, expression)`. */
export function bindOf(node: Node): { variable: string; value: Node; body: Node } | undefined {
  if (node.op !== "rcall") return undefined;
  const [name, owner, [variable, value, body, more]] = node.args;
  if (name !== "bind" || owner.op !== "id" || owner.args !== "cel" || more) return undefined;
  return variable?.op === "id" && value && body
    ? { variable: variable.args, value, body }
    : undefined;
}

/** The direct sub-expressions, in source order. */
export function children(node: Node): Node[] {
  switch (node.op) {
    case "value":
    case "id":
      return [];
    case ".":
      return [node.args[0]];
    case "call":
      return node.args[1];
    case "rcall":
      return [node.args[1], ...node.args[2]];
    case "map":
      return node.args.flat();
    case "!_":
    case "-_":
      return [node.args];
    default:
      return node.args;
  }
}

const MAX_SOURCE = 20_000;
const MAX_CACHED = 1000;
const MAX_KEPT = 2000;
const cache = new Map<string, Node>();
let parser: ((source: string) => { ast: unknown }) | undefined;

function loadParser(): (source: string) => { ast: unknown } {
  // 14 ms, so not before the first expression; `require` because evaluation is synchronous.
  const { Environment } = require("@marcbachmann/cel-js") as typeof import("@marcbachmann/cel-js");
  const environment = new Environment({
    unlistedVariablesAreDyn: true,
    homogeneousAggregateLiterals: false,
    limits: {
      maxAstNodes: 2000,
      maxDepth: 50,
      maxListElements: 1000,
      maxMapEntries: 1000,
      maxCallArguments: 16,
    },
  });
  return (source) => environment.parse(source);
}

/** What went wrong where in an expression; becomes a PgdbaError in `evaluate`, an ExprProblem in `checkCel`. */
export class ExprError extends Error {
  readonly start: number;
  readonly end: number;
  readonly hint: string | undefined;

  constructor(at: { start: number; end: number }, message: string, hint?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.start = at.start;
    this.end = at.end;
    this.hint = hint;
  }
}

/** The syntax tree of a CEL expression; remembered. @throws ExprError */
export function parse(source: string): Node {
  const known = cache.get(source);
  if (known) return known;
  const whole = { start: 0, end: source.length };
  if (source.length > MAX_SOURCE) {
    throw new ExprError(
      whole,
      `the expression is longer than ${MAX_SOURCE} characters`,
      "Split it over several steps.",
    );
  }
  let ast: Node;
  try {
    parser ??= loadParser();
    ast = parser(source).ast as Node;
  } catch (error) {
    throw syntaxError(error, source, whole);
  }
  if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value!);
  cache.set(source, ast);
  return ast;
}

function syntaxError(
  error: unknown,
  source: string,
  whole: { start: number; end: number },
): unknown {
  const { summary, range, code } = error as {
    summary?: string;
    range?: { start: number; end: number };
    code?: string;
  };
  if (error instanceof RangeError || code === "limit_exceeded") {
    return new ExprError(
      range ?? whole,
      "the expression is too large or nested too deep",
      "Split it over several steps.",
      error,
    );
  }
  if (summary === undefined) return error;
  if (source.trim() === "")
    return new ExprError(whole, "the expression is empty", "Write a CEL expression.", error);
  if (source.includes("{{")) {
    return new ExprError(
      range ?? whole,
      "{{...}} is for text; this is an expression",
      "Name the value without braces: params.target",
      error,
    );
  }
  const reworded = summary
    .replace("Unexpected token: EOF", "the expression ends too early")
    .replace(/, got EOF$/, ", but the expression ends")
    .replace(/^Unexpected character: '?='?$/, "'=' is not an operator; compare with '=='");
  return new ExprError(
    range ?? whole,
    reworded,
    "Check the syntax near it; text needs quotes.",
    error,
  );
}

/**
 * The source text of a node. The parser leaves brackets out of a node's span, `(a + b) * c` spans `a + b) * c`;
 * here they are put back.
 */
export function textOf(source: string, node: { start: number; end: number }): string {
  let { start, end } = node;
  let open = 0;
  let missing = 0;
  const tokens = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[()]/g;
  for (const [token] of source.slice(start, end).matchAll(tokens)) {
    if (token === "(") open++;
    else if (token === ")" && open > 0) open--;
    else if (token === ")") missing++;
  }
  for (; missing > 0 && start > 0; start--) if (source[start - 1] === "(") missing--;
  for (; open > 0 && end < source.length; end++) if (source[end] === ")") open--;
  return source.slice(start, end);
}

/** An ExprError as the error that callers see; anything else as it is. Of a long source, `data` keeps what is near. */
export function expressionFailed(error: unknown, source: string): unknown {
  if (!(error instanceof ExprError)) return error;
  const from = source.length > MAX_KEPT ? Math.max(0, error.start - MAX_KEPT / 2) : 0;
  const kept = source.slice(from, from + MAX_KEPT);
  const end = Math.min(error.end - from, kept.length);
  return new PgdbaError("expression_failed", error.message, {
    hint: error.hint ?? "Correct the expression.",
    data: { source: kept, start: error.start - from, end },
    cause: error.cause ?? error,
  });
}
