import { type Binary, ExprError, type Node } from "../ast.ts";
import { checkHas, checkMacro } from "./macros.ts";
import { TokenStream } from "./stream.ts";
import type { Literal } from "./tokens.ts";
import { RESERVED } from "./words.ts";

const MAX_NODES = 2000;
const MAX_DEPTH = 100;
const MAX_INT = 2n ** 63n - 1n;

/** Operators from the loosest to the tightest. */
const LEVELS: readonly (readonly string[])[] = [
  ["||"],
  ["&&"],
  ["<", "<=", ">", ">=", "==", "!=", "in"],
  ["+", "-"],
  ["*", "/", "%"],
];

/**
 * A recursive-descent parser of CEL's grammar. The span of a node is its text without brackets around it, and with those
 * inside it: of `((a + b) * c)` it is `(a + b) * c`.
 */
export class Parser {
  readonly #tokens: TokenStream;
  #nodes = 0;
  #depth = 0;

  constructor(source: string) {
    this.#tokens = new TokenStream(source);
  }

  /** @throws ExprError */
  parse(): Node {
    const node = this.#expression();
    if (this.#tokens.token.kind !== "end") throw this.#tokens.unexpected();
    return node;
  }

  /** Counts a node; its span begins at `start` and ends with the last token. */
  #node<T extends object>(start: number, rest: T): T & { start: number; end: number } {
    if (++this.#nodes > MAX_NODES) throw this.#tooLarge();
    return { ...rest, start, end: this.#tokens.end };
  }

  #tooLarge(): ExprError {
    return new ExprError(
      this.#tokens.token,
      "the expression is too large or nested too deep",
      "Split it over several steps.",
    );
  }

  #deeper<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw this.#tooLarge();
    const result = parse();
    this.#depth--;
    return result;
  }

  #expression(): Node {
    return this.#deeper(() => {
      const start = this.#tokens.token.start;
      const condition = this.#binary(0);
      if (!this.#tokens.take("?")) return condition;
      const yes = this.#binary(0);
      this.#tokens.expect(":");
      const no = this.#expression();
      return this.#node(start, { op: "?:" as const, args: [condition, yes, no] });
    });
  }

  #binary(level: number): Node {
    const operators = LEVELS[level];
    if (!operators) return this.#unary();
    const start = this.#tokens.token.start;
    let left = this.#binary(level + 1);
    for (;;) {
      const { kind } = this.#tokens.token;
      if ((kind !== "sign" && kind !== "name") || !operators.includes(this.#tokens.token.text))
        return left;
      const op = this.#tokens.token.text as Binary;
      this.#tokens.next();
      const right = this.#binary(level + 1);
      left = this.#node(start, { op, args: [left, right] as [Node, Node] });
    }
  }

  #unary(): Node {
    const start = this.#tokens.token.start;
    const sign = this.#tokens.is("!") ? "!_" : this.#tokens.is("-") ? "-_" : undefined;
    if (sign === undefined) return this.#member(start);
    this.#tokens.next();
    if (sign === "-_") {
      const number = this.#negative(start);
      if (number) return this.#suffixes(number, start);
    }
    const args = this.#deeper(() => this.#unary());
    return this.#node(start, { op: sign as "!_" | "-_", args });
  }

  /** A number whose sign was just taken, so that the least int can be written. */
  #negative(start: number): Node | undefined {
    const token = this.#tokens.token;
    if (token.kind === "int") {
      if (token.value > MAX_INT + 1n) throw this.#tooLong({ start, end: token.end });
      this.#tokens.next();
      return this.#literal(start, -token.value);
    }
    if (token.kind !== "literal" || typeof token.value !== "number") return undefined;
    this.#tokens.next();
    return this.#literal(start, -token.value);
  }

  #tooLong(at: { start: number; end: number }): ExprError {
    return new ExprError(
      at,
      "the number does not fit a 64-bit int",
      "Calculate with doubles: write 1.0 instead of 1.",
    );
  }

  #literal(start: number, value: Literal): Node {
    return this.#node(start, { op: "value" as const, args: value });
  }

  #member(start: number): Node {
    return this.#suffixes(this.#primary(), start);
  }

  /** `.key`, `.method(…)` and `[index]`, as many as follow. */
  #suffixes(first: Node, start: number): Node {
    let node = first;
    for (;;) {
      if (this.#tokens.take("[")) {
        const index = this.#expression();
        this.#tokens.expect("]");
        node = this.#node(start, { op: "[]" as const, args: [node, index] as [Node, Node] });
      } else if (this.#tokens.take(".")) node = this.#selection(node, start);
      else return node;
    }
  }

  #selection(owner: Node, start: number): Node {
    const token = this.#tokens.token;
    if ((token.kind !== "name" && token.kind !== "quoted") || token.text === "in")
      throw this.#tokens.unexpected("a name");
    const key = token.text;
    this.#tokens.next();
    if (token.kind === "quoted" || !this.#tokens.take("("))
      return this.#node(start, {
        op: "." as const,
        args: [owner, key] as [Node, string],
        pos: token.start,
      });
    const args = this.#arguments(")");
    const call: [string, Node, Node[]] = [key, owner, args];
    const node = this.#node(start, { op: "rcall" as const, args: call });
    checkMacro(node);
    return node;
  }

  /** Expressions up to the closing bracket; in a list the last may be followed by a comma. */
  #arguments(close: ")" | "]"): Node[] {
    const items: Node[] = [];
    while (!this.#tokens.is(close)) {
      items.push(this.#expression());
      if (!this.#tokens.is(close)) {
        this.#tokens.expect(",");
        if (close === ")" && this.#tokens.is(close)) throw this.#tokens.unexpected();
      }
    }
    this.#tokens.next();
    return items;
  }

  #primary(): Node {
    const token = this.#tokens.token;
    const { start } = token;
    if (token.kind === "literal") {
      this.#tokens.next();
      return this.#literal(start, token.value);
    }
    if (token.kind === "int") {
      if (token.value > MAX_INT) throw this.#tooLong(token);
      this.#tokens.next();
      return this.#literal(start, token.value);
    }
    if (token.kind === "name") return this.#name(start, false);
    if (this.#tokens.take(".")) return this.#name(start, true);
    if (this.#tokens.take("(")) {
      const inner = this.#expression();
      this.#tokens.expect(")");
      return inner;
    }
    if (this.#tokens.take("[")) {
      const args = this.#arguments("]");
      return this.#node(start, { op: "list" as const, args });
    }
    if (this.#tokens.take("{")) return this.#map(start);
    throw this.#tokens.unexpected();
  }

  /** A variable or a call. `.name` looks past the variables of macros. */
  #name(start: number, fromRoot: boolean): Node {
    const token = this.#tokens.token;
    if (token.kind !== "name") throw this.#tokens.unexpected("a name");
    if (RESERVED.includes(token.text))
      throw new ExprError(
        token,
        `'${token.text}' is a word of the language and can't name a variable`,
        "Choose another name; after a dot it may stand.",
      );
    this.#tokens.next();
    if (!this.#tokens.take("("))
      return this.#node(start, {
        op: "id" as const,
        args: token.text,
        ...(fromRoot ? { fromRoot } : {}),
      });
    const args: [string, Node[]] = [token.text, this.#arguments(")")];
    checkHas(args[0], args[1]);
    return this.#node(start, { op: "call" as const, args });
  }

  #map(start: number): Node {
    const entries: [Node, Node][] = [];
    while (!this.#tokens.is("}")) {
      const key = this.#expression();
      this.#tokens.expect(":");
      entries.push([key, this.#expression()]);
      if (!this.#tokens.is("}")) this.#tokens.expect(",");
    }
    this.#tokens.next();
    return this.#node(start, { op: "map" as const, args: entries });
  }
}
