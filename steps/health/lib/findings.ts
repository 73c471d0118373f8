import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject, StepContext } from "../../../engine/types.ts";
import { type Check, GROUPS, SEVERITIES, type Severity } from "./document.ts";
import type { Facts } from "./facts.ts";
import { type Remedy, remedyOf } from "./remedy.ts";

export interface Finding {
  check: string;
  title: string;
  group: string;
  severity: Severity;
  object: string | null;
  message: string;
  evidence: JsonObject;
  why: string;
  remedy: Remedy;
  estimated: boolean;
  /** The user could not see everything the check looks at. */
  partial: boolean;
  /** How many there are in all, when not all are listed. */
  total: number | null;
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

/** What a check makes of its rows. @throws PgdbaError expression_failed when an expression or text of it fails */
export function judge(
  ctx: StepContext,
  check: Check,
  given: { rows: JsonObject[]; params: JsonObject; facts: Facts; partial: boolean },
): Finding[] {
  const found: Finding[] = [];
  for (const row of given.rows) {
    const vars = { row, params: given.params, server: given.facts };
    const severity = SEVERITIES.find(
      (word) => check[word] !== undefined && holds(ctx, check[word], vars),
    );
    if (severity === undefined) continue;
    const text = (source: string | undefined): string | null =>
      source === undefined ? null : ctx.render(source, vars);
    // What the check's own remedy is made of is shown there.
    const { total: _, remedy: __, settings: ___, ...evidence } = row;
    found.push({
      check: check.name,
      title: check.title,
      group: check.group,
      severity,
      object: text(check.object),
      message: ctx.render(check.message, vars),
      evidence,
      why: check.why,
      remedy: remedyOf(ctx, check, vars),
      estimated: check.estimated ?? false,
      partial: given.partial,
      total: null,
    });
  }
  // Rows come worst first: when the last one given is a finding, so may be those that were cut off.
  const total = Number(given.rows[0]?.["total"] ?? 0);
  if (total > given.rows.length && found.length === given.rows.length)
    for (const finding of found) finding.total = total;
  return found;
}

function holds(ctx: StepContext, condition: string, vars: Record<string, unknown>): boolean {
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

/** Worst first, then by group in the order of the manual, then by check; within a check the order of its rows. */
export function inOrder(findings: Finding[]): Finding[] {
  return findings.toSorted(
    (a, b) =>
      SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
      GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group) ||
      a.check.localeCompare(b.check, "en"),
  );
}
