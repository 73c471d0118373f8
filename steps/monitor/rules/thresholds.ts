import { stringify } from "yaml";
import { PgdbaError } from "../../../engine/errors.ts";
import { parseDuration } from "../../../engine/shared/units.ts";

/** monitoring/thresholds.yaml: the values that alerts compare with, each with its one place. */
export interface ThresholdList {
  /** Where the names of the health checks begin. */
  under: string;
  /** Params of health checks. */
  checks: Record<string, string[]>;
  /** Params of runbooks that are durations, in seconds here. */
  runbooks: Record<string, Record<string, { runbook: string; param: string }>>;
  /** Those that stand in the list itself. */
  own: Record<string, Record<string, { value: number; description: string }>>;
}

/** The values in force at those places: the defaults, or what the user has put over them. */
export interface InForce {
  check(name: string, param: string): unknown;
  runbook(name: string, param: string): unknown;
}

export interface Threshold {
  check: string;
  param: string;
  value: number;
}

/** @throws PgdbaError invalid_param for a value that is no number, or no duration */
export function thresholdsOf(list: ThresholdList, inForce: InForce): Threshold[] {
  const found: Threshold[] = [];
  const add = (check: string, param: string, value: unknown): void => {
    if (typeof value !== "number")
      throw new PgdbaError("invalid_param", `The threshold ${check}.${param} is not a number`, {
        hint: "Each value that monitoring/thresholds.yaml names is a param with a number, of a health check or of a runbook.",
      });
    found.push({ check, param, value });
  };
  for (const [check, params] of Object.entries(list.checks))
    for (const param of params) add(check, param, inForce.check(check, param));
  for (const [check, params] of Object.entries(list.runbooks))
    for (const [name, { runbook, param }] of Object.entries(params))
      add(check, name, parseDuration(String(inForce.runbook(runbook, param))) / 1000);
  for (const [check, params] of Object.entries(list.own))
    for (const [param, { value }] of Object.entries(params)) add(check, param, value);
  return found;
}

/** A file of rules that records each value as a series, for alerts to compare with and dashboards to draw. */
export function thresholdRules(thresholds: readonly Threshold[]): string {
  const rules = thresholds.map(({ check, param, value }) => ({
    record: "pgdba:threshold",
    expr: `vector(${value})`,
    labels: { check, param },
  }));
  return `# Made from monitoring/thresholds.yaml and the params of the health checks: change the values there.\n${stringify(
    { groups: [{ name: "thresholds", interval: "15s", rules }] },
    { lineWidth: 0 },
  )}`;
}
