import { type Binary, ExprError, MACROS, type Node } from "../ast.ts";
import { Lexer, type Literal, type Token } from "./tokens.ts";
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
  readonly #lexer: Lexer;
  #token: Token;
  /** Where the last token that was taken ends. */
  #end = 0;
  #nodes = 0;
  #depth = 0;

  constructor(source: string) {
    this.#lexer = new Lexer(source);
    this.#token = this.#lexer.next();
  }

  /** @throws ExprError */
  parse(): Node {
    const node = this.#expression();
    if (this.#token.kind !== "end") throw this.#unexpected();
    return node;
  }

  #is(sign: string): boolean {
    return this.#token.kind === "sign" && this.#token.text === sign;
  }

  #next(): Token {
    const token = this.#token;
    this.#end = token.end;
    this.#token = this.#lexer.next();
    return token;
  }

  #take(sign: string): boolean {
    if (!this.#is(sign)) return false;
    this.#next();
    return true;
  }

  #expect(sign: string): void {
    if (!this.#take(sign)) throw this.#unexpected(`'${sign}'`);
  }

  #unexpected(wanted?: string): ExprError {
    const { kind, start, end } = this.#token;
    const at = { start, end };
    const hint = "Check the syntax near it; text needs quotes.";
    if (kind === "end") {
      const missing = wanted === undefined ? "" : `, ${wanted} is missing`;
      return new ExprError(at, `the expression ends too early${missing}`, hint);
    }
    const word = kind === "name" || kind === "sign" ? this.#token.text : undefined;
    const operator = { and: "&&", or: "||", not: "!" }[word ?? ""];
    if (operator !== undefined)
      return new ExprError(at, `'${word}' is written ${operator} here`, hint);
    const found = word === undefined ? `a ${kind === "quoted" ? "name" : "value"}` : `'${word}'`;
    return new ExprError(
      at,
      wanted === undefined ? `${found} can't stand here` : `${wanted} is missing before ${found}`,
      hint,
    );
  }

  /** Counts a node; its span begins at `start` and ends with the last token. */
  #node<T extends object>(start: number, rest: T): T & { start: number; end: number } {
    if (++this.#nodes > MAX_NODES) throw this.#tooLarge();
    return { ...rest, start, end: this.#end };
  }

  #tooLarge(): ExprError {
    return new ExprError(
      this.#token,
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
      const start = this.#token.start;
      const condition = this.#binary(0);
      if (!this.#take("?")) return condition;
      const yes = this.#binary(0);
      this.#expect(":");
      const no = this.#expression();
      return this.#node(start, { op: "?:" as const, args: [condition, yes, no] });
    });
  }

  #binary(level: number): Node {
    const operators = LEVELS[level];
    if (!operators) return this.#unary();
    const start = this.#token.start;
    let left = this.#binary(level + 1);
    for (;;) {
      const { kind } = this.#token;
      if ((kind !== "sign" && kind !== "name") || !operators.includes(this.#token.text))
        return left;
      const op = this.#token.text as Binary;
      this.#next();
      const right = this.#binary(level + 1);
      left = this.#node(start, { op, args: [left, right] as [Node, Node] });
    }
  }

  #unary(): Node {
    const start = this.#token.start;
    const sign = this.#is("!") ? "!_" : this.#is("-") ? "-_" : undefined;
    if (sign === undefined) return this.#member(start);
    this.#next();
    if (sign === "-_") {
      const number = this.#negative(start);
      if (number) return this.#suffixes(number, start);
    }
    const args = this.#deeper(() => this.#unary());
    return this.#node(start, { op: sign as "!_" | "-_", args });
  }

  /** A number whose sign was just taken, so that the least int can be written. */
  #negative(start: number): Node | undefined {
    const token = this.#token;
    if (token.kind === "int") {
      if (token.value > MAX_INT + 1n) throw this.#tooLong({ start, end: token.end });
      this.#next();
      return this.#literal(start, -token.value);
    }
    if (token.kind !== "literal" || typeof token.value !== "number") return undefined;
    this.#next();
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
      if (this.#take("[")) {
        const index = this.#expression();
        this.#expect("]");
        node = this.#node(start, { op: "[]" as const, args: [node, index] as [Node, Node] });
      } else if (this.#take(".")) node = this.#selection(node, start);
      else return node;
    }
  }

  #selection(owner: Node, start: number): Node {
    const token = this.#token;
    if ((token.kind !== "name" && token.kind !== "quoted") || token.text === "in")
      throw this.#unexpected("a name");
    const key = token.text;
    this.#next();
    if (token.kind === "quoted" || !this.#take("("))
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
    while (!this.#is(close)) {
      items.push(this.#expression());
      if (!this.#is(close)) {
        this.#expect(",");
        if (close === ")" && this.#is(close)) throw this.#unexpected();
      }
    }
    this.#next();
    return items;
  }

  #primary(): Node {
    const token = this.#token;
    const { start } = token;
    if (token.kind === "literal") {
      this.#next();
      return this.#literal(start, token.value);
    }
    if (token.kind === "int") {
      if (token.value > MAX_INT) throw this.#tooLong(token);
      this.#next();
      return this.#literal(start, token.value);
    }
    if (token.kind === "name") return this.#name(start, false);
    if (this.#take(".")) return this.#name(start, true);
    if (this.#take("(")) {
      const inner = this.#expression();
      this.#expect(")");
      return inner;
    }
    if (this.#take("[")) {
      const args = this.#arguments("]");
      return this.#node(start, { op: "list" as const, args });
    }
    if (this.#take("{")) return this.#map(start);
    throw this.#unexpected();
  }

  /** A variable or a call. `.name` looks past the variables of macros. */
  #name(start: number, fromRoot: boolean): Node {
    const token = this.#token;
    if (token.kind !== "name") throw this.#unexpected("a name");
    if (RESERVED.includes(token.text))
      throw new ExprError(
        token,
        `'${token.text}' is a word of the language and can't name a variable`,
        "Choose another name; after a dot it may stand.",
      );
    this.#next();
    if (!this.#take("("))
      return this.#node(start, {
        op: "id" as const,
        args: token.text,
        ...(fromRoot ? { fromRoot } : {}),
      });
    const args: [string, Node[]] = [token.text, this.#arguments(")")];
    return this.#node(start, { op: "call" as const, args });
  }

  #map(start: number): Node {
    const entries: [Node, Node][] = [];
    while (!this.#is("}")) {
      const key = this.#expression();
      this.#expect(":");
      entries.push([key, this.#expression()]);
      if (!this.#is("}")) this.#expect(",");
    }
    this.#next();
    return this.#node(start, { op: "map" as const, args: entries });
  }
}

/** A macro's first argument names the variable. */
function checkMacro(node: Node & { op: "rcall" }): void {
  const [name, , [variable, ...rest]] = node.args;
  const takes = MACROS[name];
  if (!variable || takes === undefined || !takes.includes(rest.length + 1)) return;
  if (variable.op === "id" && variable.fromRoot !== true) return;
  throw new ExprError(
    variable,
    `the first argument of ${name}() names the variable`,
    `Write ${name}(x, ...), and x for an item in what follows.`,
  );
}
