import { ExprError } from "../ast.ts";
import { Lexer, type Token } from "./tokens.ts";

/** The operators here for words of other languages. */
const OPERATORS: Record<string, string> = {
  __proto__: null as never,
  and: "&&",
  or: "||",
  not: "!",
};

/** The tokens of an expression, one ahead. */
export class TokenStream {
  readonly #lexer: Lexer;
  token: Token;
  /** The end of the last token that was taken. */
  end = 0;

  constructor(source: string) {
    this.#lexer = new Lexer(source);
    this.token = this.#lexer.next();
  }

  is(sign: string): boolean {
    return this.token.kind === "sign" && this.token.text === sign;
  }

  next(): Token {
    const token = this.token;
    this.end = token.end;
    this.token = this.#lexer.next();
    return token;
  }

  take(sign: string): boolean {
    if (!this.is(sign)) return false;
    this.next();
    return true;
  }

  expect(sign: string): void {
    if (!this.take(sign)) throw this.unexpected(`'${sign}'`);
  }

  unexpected(wanted?: string): ExprError {
    const { kind, start, end } = this.token;
    const at = { start, end };
    const hint = "Check the syntax near it; text needs quotes.";
    if (kind === "end") {
      const missing = wanted === undefined ? "" : `, ${wanted} is missing`;
      return new ExprError(at, `the expression ends too early${missing}`, hint);
    }
    const word = kind === "name" || kind === "sign" ? this.token.text : undefined;
    const operator = OPERATORS[word ?? ""];
    if (operator !== undefined)
      return new ExprError(at, `'${word}' is written ${operator} here`, hint);
    const found = word === undefined ? `a ${kind === "quoted" ? "name" : "value"}` : `'${word}'`;
    return new ExprError(
      at,
      wanted === undefined ? `${found} can't stand here` : `${wanted} is missing before ${found}`,
      hint,
    );
  }
}
