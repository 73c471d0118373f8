import type { JsonSchema } from "../../types.ts";
import { ExprError, type Node, textOf } from "../ast.ts";
import { DYNAMIC } from "../schema-types.ts";
import { short } from "../wording.ts";

/** `start` and `end` are offsets into the source. */
export interface ExprProblem {
  start: number;
  end: number;
  /** syntax · unknown-variable · unknown-key · unknown-function · wrong-arguments · type-mismatch · invalid-value */
  rule: string;
  message: string;
  hint?: string;
}

/** The problems found in one source text. */
export class Problems {
  readonly list: ExprProblem[] = [];
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  /** A part of the source as messages quote it. */
  text(node: Node): string {
    return short(textOf(this.#source, node));
  }

  /** Gives DYNAMIC, the schema to go on with: what depends on the fault is not held against anybody. */
  report(
    { start, end }: { start: number; end: number },
    rule: string,
    message: string,
    hint?: string,
  ): JsonSchema {
    this.list.push({ start, end, rule, message, ...(hint === undefined ? {} : { hint }) });
    return DYNAMIC;
  }

  /** Reports what the parser threw; anything that is no fault of the source is thrown again. */
  syntax(error: unknown): void {
    if (!(error instanceof ExprError)) throw error;
    this.report(error, "syntax", error.message, error.hint);
  }
}
