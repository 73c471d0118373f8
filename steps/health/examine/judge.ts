import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject, StepContext } from "../../../engine/types.ts";
import type { Check } from "../check/check.ts";
import type { Facts } from "./facts.ts";
import { SEVERITIES, type Severity } from "../check/words.ts";

/** A row of a check that could be judged. */
export interface Judged {
  check: Check;
  row: JsonObject;
  params: JsonObject;
  facts: Facts;
  /** Null when the row is nothing by itself; it may still be the cause of something. */
  severity: Severity | null;
  /** The user could not see everything that the check looks at. */
  partial: boolean;
  /** Rows in all, when the SQL gave only the first of them and those that it left out may be as bad. */
  total: number | null;
  /** The user did not ask for this check; it only explains the findings of others. */
  auxiliary: boolean;
}

/** A part that a check could not judge. Without an object it is the check as a whole. */
export interface Unseen {
  object: string | null;
  reason: string;
  hint: string | null;
}

export type Thresholds = Record<string, JsonObject>;

/**
 * The params of a check: its defaults with what `thresholds` says for it.
 * @throws PgdbaError invalid_param for a param it does not have, or a value of another type
 */
export function paramsOf(check: Check, thresholds: Thresholds): JsonObject {
  const declared = check.params ?? {};
  const params: JsonObject = {};
  for (const [name, spec] of Object.entries(declared)) params[name] = spec.default;
  for (const [name, value] of Object.entries(thresholds[check.name] ?? {})) {
    const type = declared[name]?.type.replace("integer", "number");
    if (type === typeof value) {
      params[name] = value;
      continue;
    }
    const wrong = type === undefined ? `has no param ${name}` : `needs a ${type} for ${name}`;
    throw new PgdbaError("invalid_param", `thresholds: the check ${check.name} ${wrong}`, {
      hint: `It takes ${Object.keys(declared).join(", ") || "no params"}.`,
    });
  }
  return params;
}

/** Turns the rows of a check into findings. @throws PgdbaError expression_failed when an expression or text of it fails */
export function judge(
  ctx: StepContext,
  check: Check,
  given: {
    rows: JsonObject[];
    params: JsonObject;
    facts: Facts;
    partial: boolean;
    auxiliary: boolean;
  },
): { judged: Judged[]; unseen: Unseen[] } {
  const { rows, facts, ...rest } = given;
  const judged: Judged[] = [];
  const unseen: Unseen[] = [];
  for (const row of rows) {
    const vars = { row, params: given.params, server: facts };
    if (check.unseen !== undefined && holds(ctx, check.unseen.when, vars)) {
      const { object = check.object, reason, hint } = check.unseen;
      unseen.push({
        object: textOf(ctx, object, vars),
        reason: ctx.render(reason, vars),
        hint: textOf(ctx, hint, vars),
      });
      continue;
    }
    const severity =
      SEVERITIES.find((word) => check[word] !== undefined && holds(ctx, check[word], vars)) ?? null;
    judged.push({ check, row, facts, severity, total: null, ...rest });
  }
  // Rows come worst first: when the last one given is a finding, so may be those that were cut off.
  const total = Number(rows[0]?.["total"] ?? 0);
  if (total > rows.length && (judged.at(-1)?.severity ?? null) !== null)
    for (const one of judged) one.total = total;
  return { judged, unseen };
}

/** The text that `source` comes to; null without one, and when it comes to nothing. */
export function textOf(
  ctx: StepContext,
  source: string | undefined,
  vars: Record<string, unknown>,
): string | null {
  return source === undefined ? null : ctx.render(source, vars) || null;
}

/** @throws PgdbaError expression_failed */
export function holds(ctx: StepContext, condition: string, vars: Record<string, unknown>): boolean {
  const value = ctx.evaluate(condition, vars);
  if (typeof value === "boolean") return value;
  throw new PgdbaError(
    "expression_failed",
    `The condition is neither true nor false: ${condition}`,
    {
      hint: "Compare the value with something, e.g. `row.count > params.warning`.",
    },
  );
}
