import type { ExprProblem, Scope } from "../expr/infer.ts";
import { celOf } from "../expr/languages.ts";
import { describe, mayBe } from "../expr/schema-types.ts";
import type { DocPath, JsonSchema } from "../types.ts";
import { partsRead } from "./absent.ts";
import type { Finding, Report } from "./report.ts";
import { bracesIn, dollarIn, type Piece, templateIn } from "./templates.ts";
import { didYouMean, shown } from "./messages.ts";

/** Checks the expressions of one document; what is wrong with them goes into its report. */
export interface ExpressionChecker {
  /** A field that is CEL. @returns the schema of its value; `{}` when nothing is known */
  cel(path: DocPath, source: string, scope: Scope, expected?: JsonSchema): Promise<JsonSchema>;
  /** A field that is CEL and must be true or false. */
  condition(path: DocPath, source: string, scope: Scope): Promise<void>;
  /** A scalar that is wholly `${…}`. */
  value(path: DocPath, text: string, scope: Scope, expected?: JsonSchema): Promise<JsonSchema>;
  /** Handlebars. */
  text(path: DocPath, text: string, scope: Scope): Promise<void>;
  /** Text that is handed on as written. */
  fixed(path: DocPath, text: string, scope: Scope): void;
}

/** The knowledge about steps at the place of an expression. */
export interface Surroundings {
  /** Explains a reference to a step that isn't visible. */
  invisible(id: string): Finding | undefined;
  /** Why a step may have no output. */
  absent(id: string): Finding | undefined;
}

const ALONE: Surroundings = { invisible: () => undefined, absent: () => undefined };

export const ANYTHING: JsonSchema = {};

export function createExpressionChecker(
  report: Report,
  around: Surroundings = ALONE,
): ExpressionChecker {
  const put = (
    path: DocPath,
    whole: string,
    piece: Piece,
    problems: ExprProblem[],
    scope: Scope,
  ): void => {
    for (const { start, end, ...finding } of problems) {
      const reference = stepReference(whole, piece.start + start, piece.start + end, scope);
      if (reference === undefined) {
        report.addWithin(path, whole, piece.start + start, piece.start + end, finding);
        continue;
      }
      const known = around.invisible(reference.id) ?? {
        rule: "unknown-step",
        message: `there is no step \`${reference.id}\``,
        hint: didYouMean(reference.id, Object.keys(scope["steps"]?.properties ?? {})),
      };
      report.addWithin(path, whole, reference.start, reference.end, known);
    }
  };

  const putAbsent = (path: DocPath, whole: string, piece: Piece): void => {
    for (const { id, start, end } of partsRead(whole.slice(piece.start, piece.end))) {
      const finding = around.absent(id);
      if (finding) report.addWithin(path, whole, piece.start + start, piece.start + end, finding);
    }
  };

  const check = async (
    path: DocPath,
    whole: string,
    piece: Piece,
    scope: Scope,
    expected?: JsonSchema,
  ): Promise<JsonSchema> => {
    // The CEL parser is only loaded for documents that hold expressions.
    const { checkCel } = await import("../expr/infer.ts");
    const { schema, problems } = checkCel(whole.slice(piece.start, piece.end), scope, expected);
    put(path, whole, piece, problems, scope);
    putAbsent(path, whole, piece);
    return schema;
  };

  const checker: ExpressionChecker = {
    async cel(path, source, scope, expected) {
      const braces = bracesIn(source);
      if (braces === undefined)
        return check(path, source, { start: 0, end: source.length }, scope, expected);
      report.addWithin(path, source, braces.start, braces.end, {
        rule: "template-in-condition",
        message: `this field is an expression already; ${shown(source.slice(braces.start, braces.end))} can't be part of it`,
        hint: "Write the name as it is: `params.x`, not `{{params.x}}` or `${params.x}`.",
      });
      return ANYTHING;
    },
    async condition(path, source, scope) {
      const schema = await checker.cel(path, source, scope);
      if (mayBe(schema, "boolean")) return;
      report.add(path, {
        rule: "not-boolean",
        message: `a condition must be true or false; this one gives ${describe(schema)}`,
        hint: "Compare the value with something, e.g. `size(list) > 0` or `name != ''`.",
      });
    },
    value(path, text, scope, expected) {
      const { source, offset } = celOf(text);
      return check(path, text, { start: offset, end: offset + source.length }, scope, expected);
    },
    async text(path, text, scope) {
      if (text.includes("{{")) {
        const { checkText } = await import("../expr/infer.ts");
        const whole = { start: 0, end: text.length };
        put(path, text, whole, checkText(text, scope), scope);
        putAbsent(path, text, whole);
      }
      const found = dollarIn(text, new Set(Object.keys(scope)));
      if (found === undefined) return;
      report.addWithin(path, text, found.start, found.end, {
        rule: "dollar-in-text",
        message: `${shown(text.slice(found.start, found.end))} is only filled in where it is the whole value`,
        hint: "Inside a text write `{{params.x}}`, not `${params.x}`.",
      });
    },
    fixed(path, text, scope) {
      const found = templateIn(text, new Set(Object.keys(scope)));
      if (found === undefined) return;
      report.addWithin(path, text, found.start, found.end, {
        rule: "template-in-static",
        message: `this text is passed on as it is; ${shown(text.slice(found.start, found.end))} would not be filled in`,
        hint: "Hand the value over beside the text: `values` for SQL, `env` for a script.",
      });
    },
  };
  return checker;
}

/** The reference to an invisible step that a problem at `[start, end)` of `whole` is about. */
function stepReference(
  whole: string,
  start: number,
  end: number,
  scope: Scope,
): (Piece & { id: string }) | undefined {
  for (const found of whole.matchAll(
    /(?<![\w.])steps\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*(['"])(.*?)\2\s*\])/dg,
  )) {
    const group = found[1] === undefined ? 3 : 1;
    const [from, to] = found.indices![group]!;
    const id = found[group]!;
    const visible = scope["steps"]?.properties ?? {};
    if (found.index < end && to > start && !Object.hasOwn(visible, id))
      return { id, start: from, end: to };
  }
  return undefined;
}
