import { ExprError } from "../ast.ts";
import type { Uint } from "../uint.ts";
import { numberOf, textOfLiteral } from "./literals.ts";

export type Literal = null | boolean | bigint | number | string | Uint | Uint8Array;

/** `int` is a whole number without its sign; whether it fits is known once the sign is. */
export type Token = { start: number; end: number } & (
  | { kind: "literal"; value: Literal }
  | { kind: "int"; value: bigint }
  | { kind: "name" | "quoted" | "sign" | "end"; text: string }
);

const SPACE = /(?:[\t\n\f\r ]+|\/\/[^\r\n]*)+/y;
const NAME = /[_a-zA-Z][_a-zA-Z0-9]*/y;
const QUOTED = /`([a-zA-Z0-9_.\-/ ]+)`/y;
const NUMBER = /0x[0-9a-fA-F]+[uU]?|(?:\d*\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)|\d+[uU]?/y;
const TEXT = /([bB]?[rR]?)("""|'''|"|')/y;
const SIGN = /&&|\|\||[=!<>]=|[<>!?:.,()[\]{}+\-*/%]/y;
const CONSTANTS: Record<string, null | boolean> = {
  __proto__: null as never,
  true: true,
  false: false,
  null: null,
};

/** Cuts a CEL expression into tokens. */
export class Lexer {
  readonly #source: string;
  #pos = 0;

  constructor(source: string) {
    this.#source = source;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#pos;
    const found = pattern.exec(this.#source);
    if (found) this.#pos += found[0].length;
    return found;
  }

  /** @throws ExprError */
  next(): Token {
    this.#match(SPACE);
    const start = this.#pos;
    if (start === this.#source.length) return { kind: "end", text: "", start, end: start };
    const opening = this.#match(TEXT);
    if (opening) return this.#text(start, opening[1]!.toLowerCase(), opening[2]!);
    const name = this.#match(NAME)?.[0];
    if (name !== undefined) {
      const end = this.#pos;
      const constant = CONSTANTS[name];
      return constant === undefined
        ? { kind: "name", text: name, start, end }
        : { kind: "literal", value: constant, start, end };
    }
    const number = this.#match(NUMBER)?.[0];
    if (number !== undefined) {
      const value = numberOf(number, { start, end: this.#pos });
      return typeof value === "bigint"
        ? { kind: "int", value, start, end: this.#pos }
        : { kind: "literal", value, start, end: this.#pos };
    }
    const quoted = this.#match(QUOTED)?.[1];
    if (quoted !== undefined) return { kind: "quoted", text: quoted, start, end: this.#pos };
    const sign = this.#match(SIGN)?.[0];
    if (sign !== undefined) return { kind: "sign", text: sign, start, end: this.#pos };
    throw unknownSign(this.#source, start);
  }

  #text(start: number, prefix: string, quote: string): Token {
    const from = this.#pos;
    const isRaw = prefix.includes("r");
    for (;;) {
      const at = this.#source[this.#pos];
      if (at === undefined || (quote.length === 1 && (at === "\n" || at === "\r"))) break;
      if (this.#source.startsWith(quote, this.#pos)) {
        const body = this.#source.slice(from, this.#pos);
        this.#pos += quote.length;
        const value = textOfLiteral(body, from, { isRaw, isBytes: prefix.includes("b") });
        return { kind: "literal", value, start, end: this.#pos };
      }
      this.#pos += at === "\\" && !isRaw ? 2 : 1;
    }
    throw new ExprError(
      { start, end: Math.min(this.#pos, this.#source.length) },
      `the text that begins with ${quote} has no end`,
      quote.length === 1
        ? "Close it on the same line, or write ''' around text of several lines."
        : `Close it with ${quote}.`,
    );
  }
}

const MEANT: Record<string, string> = {
  __proto__: null as never,
  "=": "'=' is not an operator; compare with '=='",
  "&": "'&' is not an operator; both must hold with '&&'",
  "|": "'|' is not an operator; one must hold with '||'",
  "`": "a name between ` and ` has letters, digits and _ . - / only",
};

function unknownSign(source: string, start: number): ExprError {
  const sign = String.fromCodePoint(source.codePointAt(start)!);
  const message = MEANT[sign] ?? `${JSON.stringify(sign)} is not understood`;
  return new ExprError(
    { start, end: start + sign.length },
    message,
    "Check the syntax near it; text needs quotes.",
  );
}
