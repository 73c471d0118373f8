import { ExprError } from "../ast.ts";

/** The part of Handlebars' syntax tree that is rendered; everything else is refused when it is met. */
export interface Located {
  loc: { start: { line: number; column: number }; end: { line: number; column: number } };
}
export type PathNode = Located & {
  type: "PathExpression";
  data: boolean;
  depth: number;
  parts: string[];
  original: string;
};
type Hash = { pairs: (Located & { key: string; value: Expression })[] };
export type CallNode = Located & { path: Expression; params: Expression[]; hash?: Hash };
export type Expression =
  | PathNode
  | (CallNode & { type: "SubExpression" })
  | (Located & {
      type: "StringLiteral" | "NumberLiteral" | "BooleanLiteral";
      value: string | number | boolean;
      original: string | number | boolean;
    })
  | (Located & { type: "NullLiteral" | "UndefinedLiteral"; original: null | undefined });
export type BlockNode = CallNode & { type: "BlockStatement"; program?: Program; inverse?: Program };
export type Statement =
  | (Located & { type: "ContentStatement"; value: string })
  | (Located & { type: "CommentStatement" })
  | (CallNode & { type: "MustacheStatement"; escaped: boolean })
  | BlockNode
  | (Located & {
      type: "PartialStatement" | "PartialBlockStatement" | "DecoratorBlock" | "Decorator";
    });
export interface Program {
  body: Statement[];
  blockParams?: string[];
}

const MAX_SOURCE = 1024 * 1024;
const MAX_CACHED = 500;
const cache = new Map<string, Program>();

/** The place of a node in the text, in UTF-16 units. */
export function spanOf(text: string, node: Located): { start: number; end: number } {
  return { start: offsetOf(text, node.loc.start), end: offsetOf(text, node.loc.end) };
}

function offsetOf(text: string, { line, column }: { line: number; column: number }): number {
  let start = 0;
  // The lexer counts lines by \r\n or \n.
  for (let n = 1; n < line; n++) {
    const next = text.indexOf("\n", start);
    if (next === -1) break;
    start = next + 1;
  }
  return Math.min(start + column, text.length);
}

/** The segments of a path as written, each with where it stands: those of `a.[b c].d` are `a`, `[b c]`, `d`. */
export function segmentSpans(text: string, path: PathNode): { start: number; end: number }[] {
  const { start, end } = spanOf(text, path);
  const spans = [...text.slice(start, end).matchAll(/\[[^\]]*\]|[^./@]+/g)]
    .map((found) => ({ start: start + found.index, end: start + found.index + found[0].length }))
    .filter((span, i) => i > 0 || text.slice(span.start, span.end) !== "this");
  return spans;
}

/** The syntax tree of a Handlebars text; remembered. @throws ExprError */
export function parseText(text: string): Program {
  const known = cache.get(text);
  if (known) return known;
  const whole = { start: 0, end: text.length };
  if (text.length > MAX_SOURCE)
    throw new ExprError(whole, "the text is longer than 1 MiB", "Put it into a file.");
  // Only the parser (6 ms): compiling would give code that prints objects as [object Object] and can't name what is missing.
  const { parse } = require("handlebars/dist/cjs/handlebars/compiler/base.js") as {
    parse(text: string): Program;
  };
  let program: Program;
  try {
    program = parse(text);
  } catch (error) {
    throw textSyntaxError(error, text, whole);
  }
  if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value!);
  cache.set(text, program);
  return program;
}

function textSyntaxError(
  error: unknown,
  text: string,
  whole: { start: number; end: number },
): unknown {
  if (error instanceof RangeError)
    return new ExprError(whole, "the text is nested too deep", "Simplify it.", error);
  // jison gives no position but the line in its message, "Parse error on line 2: ... Expecting 'A', 'B', got 'C'" in names
  // of tokens; Handlebars' own complaints, such as a block closed by another name, have lineNumber and column (a plain
  // error has a column too, but that one is of the script that threw it).
  const {
    lineNumber,
    column,
    message = "",
  } = error as { lineNumber?: number; column?: number; message?: string };
  const found = /^(?:Parse|Lexical) error on line (\d+)/.exec(message);
  const line = lineNumber ?? Number(found?.[1] ?? 1);
  const start = offsetOf(text, { line, column: lineNumber === undefined ? 0 : (column ?? 0) });
  const lineEnd = text.indexOf("\n", start);
  const isOpen = message.includes("got 'EOF'");
  const reason = isOpen
    ? "a {{ or a block is not closed"
    : "what stands between {{ and }} is not understood";
  return new ExprError(
    { start, end: lineEnd === -1 ? text.length : lineEnd },
    `the text does not parse: ${found ? reason : message}`,
    /\.\d+[\s~})]/.test(text.slice(start, lineEnd === -1 ? undefined : lineEnd))
      ? "An item of a list is written {{list.[0]}}."
      : "Write {{name}}, {{#if name}}...{{/if}} or {{#each list}}...{{/each}}; \\{{ stands for {{ itself.",
    error,
  );
}
