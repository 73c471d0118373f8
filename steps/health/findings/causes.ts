import type { StepContext } from "../../../engine/types.ts";
import type { Check } from "../check/check.ts";
import { holds, type Judged } from "../examine/judge.ts";
import { GROUPS, SEVERITIES } from "../check/words.ts";

/** A finding, the cause under which it stands, and its other possible causes. */
export interface Found {
  judged: Judged;
  cause: Found | null;
  causes: Found[];
}

/**
 * Relates the findings to their causes, by what the checks say that they explain. A row that is no finding by itself becomes one when
 * it is the cause of another finding; so does a row of a check that nobody asked for.
 * @throws PgdbaError expression_failed
 */
export function relate(ctx: StepContext, all: readonly Judged[]): Found[] {
  const byCheck = Map.groupBy(all, ({ check }) => check.name);
  const explaining = new Map<string, Check[]>();
  for (const [{ check }] of byCheck.values() as Iterable<[Judged]>)
    for (const name of Object.keys(check.explains ?? {}))
      explaining.set(name, [...(explaining.get(name) ?? []), check]);

  const found = new Map<Judged, Found>();
  const add = (judged: Judged): Found => {
    const known = found.get(judged);
    if (known !== undefined) return known;
    const one: Found = { judged, cause: null, causes: [] };
    found.set(judged, one);
    return one;
  };
  for (const judged of all) if (judged.severity !== null && !judged.auxiliary) add(judged);
  // Causes that are added on the way are looked at in their turn.
  for (const one of found.values()) {
    for (const check of explaining.get(one.judged.check.name) ?? []) {
      for (const candidate of byCheck.get(check.name) ?? [])
        if (explains(ctx, candidate, one.judged)) one.causes.push(add(candidate));
    }
  }
  for (const one of found.values()) {
    one.causes.sort(byWeight);
    one.cause = one.causes.find((cause) => !isBelow(cause, one)) ?? null;
  }
  return [...found.values()];
}

function explains(ctx: StepContext, cause: Judged, effect: Judged): boolean {
  const condition = cause.check.explains?.[effect.check.name];
  if (condition === undefined || cause === effect) return false;
  const inOne = cause.check.scope === "database" && effect.check.scope === "database";
  if (inOne && cause.facts.database !== effect.facts.database) return false;
  const { row, params } = cause;
  return holds(ctx, condition, { row, params, server: effect.facts, effect: effect.row });
}

/** Worst first, then in the order of the manual, then as the rows of the check came. */
function byWeight(a: Found, b: Found): number {
  const rank = ({ judged: { severity } }: Found): number =>
    severity === null ? SEVERITIES.length : SEVERITIES.indexOf(severity);
  const group = ({ judged: { check } }: Found): number => GROUPS.indexOf(check.group);
  return rank(a) - rank(b) || group(a) - group(b);
}

/** True when `one` stands below `other` already: two findings that explain each other would both lose their place. */
function isBelow(one: Found, other: Found): boolean {
  for (let up: Found | null = one; up !== null; up = up.cause) if (up === other) return true;
  return false;
}
