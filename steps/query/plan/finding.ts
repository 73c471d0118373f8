import { amount } from "../../../engine/shared/amount.ts";
import type { JsonObject } from "../../../engine/types.ts";
import type { Plan, PlanNode } from "./tree.ts";

/** Everything that can be found in a plan. */
export const FINDING_CODES = [
  "misestimate",
  "filter_discards",
  "early_stop",
  "sort_spill",
  "hash_spill",
  "aggregate_spill",
  "nested_loop_scan",
  "nested_loop_index",
  "sub_plan_loops",
  "unhashed_sub_plan",
  "bitmap_lossy",
  "heap_fetches",
  "cte_filter_late",
  "function_on_column",
  "cast_on_column",
  "large_offset",
  "jit_cost",
  "workers_not_launched",
  "planning_time",
  "trigger_time",
  "statistics_missing",
  "statistics_stale",
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

export const SEVERITIES = ["critical", "warning", "info"] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Finding {
  code: FindingCode;
  severity: Severity;
  /** The place in the plan; null for a finding about the statement as a whole. */
  node: { path: string; title: string } | null;
  message: string;
  /** The figures that the finding rests on. */
  evidence: JsonObject;
  advice: string;
  /** What ends it, as a runbook with its params, where that can be told. */
  remedy?: { runbook: string; params: JsonObject };
}

/** Facts of a table in the plan that the plan itself does not tell. */
export interface RelationFacts {
  schema: string;
  name: string;
  /** The pages of its file, now. */
  pages: number;
  /** `pg_class.reltuples`; -1 (0 on 13) when it was never analysed or vacuumed. */
  rows: number;
  /** Rows changed since the last ANALYZE; null when not counted. */
  modified: number | null;
  /** When ANALYZE last ran, by hand or by autovacuum; null when it never did, as far as the server remembers. */
  analyzed_at: string | null;
  /** True when there are column statistics; null when the role may not see them. */
  has_statistics: boolean | null;
  /** Leading columns of the valid indexes that are plain columns. */
  leading_columns: { index: string; column: string; type: string }[];
  /** Types of the columns by their names; not there when it is not known. */
  types?: Record<string, string>;
  /** Its valid indexes; undefined when they are not known. */
  indexes?: IndexFacts[];
  /** The columns of each of its extended statistics; undefined when they are not known. */
  statistics?: string[][];
  /** The partitioned table, or the topmost parent, that it is a part of. */
  root?: TableName | null;
}

export interface IndexFacts {
  name: string;
  unique: boolean;
  /** A btree over all rows; true when it is not known. */
  plain?: boolean;
  /** Those of its key, expressions left out. */
  columns: string[];
}

export interface TableName {
  schema: string;
  name: string;
}

export interface Facts {
  /** `server_version_num` */
  version_num: number;
  work_mem_kb: number;
  hash_mem_multiplier: number;
  relations: RelationFacts[];
}

/** Finds one family of problems. Parses expressions as the plan shows them with `parse`; null when it can't. */
export type Rule = (plan: Plan, facts: Facts, parse: ParseExpression) => Finding[];
export type ParseExpression = (expression: string) => JsonObject | null;

/** A finding about less than this share of the time is not worth a warning. */
const NOTABLE_SHARE = 0.05;
const CRITICAL_SHARE = 0.5;
/** Milliseconds: a statement that is done sooner is in no critical state. */
const CRITICAL_MS = 1000;

/** The severity of `share` (0 to 1) of the execution time; a warning when the share is not known. */
export function weigh(plan: Plan, share: number | null): Severity {
  if (share === null) return "warning";
  if (share < NOTABLE_SHARE) return "info";
  return share >= CRITICAL_SHARE && (plan.execution_ms ?? 0) >= CRITICAL_MS
    ? "critical"
    : "warning";
}

export function at(node: PlanNode): { path: string; title: string } {
  return { path: node.path, title: node.title };
}

export function factsOf(node: PlanNode, facts: Facts): RelationFacts | undefined {
  const { relation } = node;
  return facts.relations.find(
    ({ schema, name }) =>
      name === relation?.name && (relation.schema === null || schema === relation.schema),
  );
}

/** A count as people read it: `1,234,567`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** A count with its noun: `1 row`, `1,234 rows`. */
export function several(value: number, one: string, many = `${one}s`): string {
  return amount(Math.round(value), one, many, count(value));
}

/** A share as people read it; rounded down near the end, so that 100 % means all. */
export function percent(share: number): string {
  return `${share > 0.99 ? Math.floor(share * 1000) / 10 : Math.round(share * 100)} %`;
}

export function ms(value: number): string {
  return value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(1)} ms`;
}

/** Kilobytes as PostgreSQL's settings take them. */
export function kb(value: number): string {
  const rounded = Math.ceil(value);
  if (rounded >= 1024 * 1024 && rounded % (1024 * 1024) === 0) return `${rounded / 1024 / 1024}GB`;
  return rounded >= 1024 ? `${Math.ceil(rounded / 1024)}MB` : `${rounded}kB`;
}
