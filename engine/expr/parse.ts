import { ExprError, type Node } from "./ast.ts";
import { Parser } from "./syntax/parser.ts";

const MAX_SOURCE = 20_000;
const MAX_CACHED = 1000;
const cache = new Map<string, Node>();

/** The syntax tree of a CEL expression; remembered. @throws ExprError */
export function parse(source: string): Node {
  const known = cache.get(source);
  if (known) return known;
  const whole = { start: 0, end: source.length };
  if (source.length > MAX_SOURCE)
    throw new ExprError(
      whole,
      `the expression is longer than ${MAX_SOURCE} characters`,
      "Split it over several steps.",
    );
  if (source.trim() === "")
    throw new ExprError(whole, "the expression is empty", "Write a CEL expression.");
  let ast: Node;
  try {
    ast = new Parser(source).parse();
  } catch (error) {
    if (error instanceof ExprError && source.includes("{{"))
      throw new ExprError(
        error,
        "{{...}} is for text; this is an expression",
        "Name the value without braces: params.target",
        error,
      );
    throw error;
  }
  if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value!);
  cache.set(source, ast);
  return ast;
}
