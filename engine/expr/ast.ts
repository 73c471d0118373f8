import { PgdbaError } from "../errors.ts";
import type { Uint } from "./uint.ts";

interface Base {
  start: number;
  end: number;
}
export type Binary = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "+" | "-" | "*" | "/" | "%";
/** A node of the syntax tree. `pos` of a `.` node is where its key starts; `fromRoot` marks a name written `.name`. */
export type Node = Base &
  (
    | { op: "value"; args: null | boolean | bigint | number | string | Uint | Uint8Array }
    | { op: "id"; args: string; fromRoot?: boolean }
    | { op: "."; args: [Node, string]; pos: number }
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

/** The numbers of arguments that each macro may have. Any other number makes it a method call. */
export const MACROS: Record<string, readonly number[]> = {
  __proto__: null as never,
  all: [2],
  exists: [2],
  exists_one: [2],
  map: [2, 3],
  filter: [2],
};
/** Names that are called like functions but are part of the language. */
export const FUNCTION_SCOPE = ["has", ...Object.keys(MACROS)];

export type Macro = { name: string; list: Node; variable: string; filter?: Node; body: Node };

/** The parts of `list.map(x, …)` and its kin; undefined for a plain method call. The parser has checked their shape. */
export function macroOf(node: Node): Macro | undefined {
  if (node.op !== "rcall") return undefined;
  const [name, list, args] = node.args;
  const [variable, first, second] = args;
  if (MACROS[name]?.includes(args.length) !== true || variable?.op !== "id" || !first)
    return undefined;
  const macro = { name, list, variable: variable.args };
  return second ? { ...macro, filter: first, body: second } : { ...macro, body: first };
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

const MAX_KEPT = 2000;

/** A function where it costs something to tell: a fault that `||` puts aside needs none. */
type Hint = string | (() => string);

/** A fault at a place of an expression; becomes a PgdbaError in `evaluate`, an ExprProblem in `checkCel`. */
export class ExprError extends Error {
  readonly start: number;
  readonly end: number;
  readonly #hint: Hint | undefined;

  constructor(at: { start: number; end: number }, message: string, hint?: Hint, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.start = at.start;
    this.end = at.end;
    this.#hint = hint;
  }

  get hint(): string | undefined {
    return typeof this.#hint === "function" ? this.#hint() : this.#hint;
  }
}

/** The source text of a node. */
export const textOf = (source: string, node: { start: number; end: number }): string =>
  source.slice(node.start, node.end);

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
