import { PgdbaError } from "../../../engine/errors.ts";

/** A node of `EXPLAIN (FORMAT JSON)`, as far as it is used here. */
export interface PlanNode {
  "Node Type": string;
  "Startup Cost": number;
  "Total Cost": number;
  "Plan Rows": number;
  "Plan Width": number;
  "Relation Name"?: string;
  Schema?: string;
  Alias?: string;
  "Index Name"?: string;
  "Join Type"?: string;
  /** Partitions that were left out when the plan was about to be run. */
  "Subplans Removed"?: number;
  Plans?: PlanNode[];
}

/** The plan in the answer to EXPLAIN (FORMAT JSON). */
export function planOf(rows: readonly Record<string, unknown>[]): PlanNode {
  const answer = rows[0]?.["QUERY PLAN"];
  const list = (typeof answer === "string" ? JSON.parse(answer) : answer) as
    | { Plan?: PlanNode }[]
    | undefined;
  const plan = list?.[0]?.Plan;
  if (plan === undefined)
    throw new PgdbaError("unsupported", "The statement has no plan", {
      hint: "EXPLAIN takes SELECT, INSERT, UPDATE, DELETE and MERGE.",
    });
  return plan;
}

/** Every node, the outermost first. */
export function nodesOf(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

/** Names of the indexes that a plan uses. */
export function indexesOf(plan: PlanNode): Set<string> {
  return new Set(nodesOf(plan).flatMap((node) => node["Index Name"] ?? []));
}

/** The shape of a plan: node types, joins, tables and indexes, in their order. Plans with equal shapes are the same. */
export function shapeOfPlan(plan: PlanNode): string {
  const own = [
    plan["Node Type"],
    plan["Join Type"],
    plan["Relation Name"],
    plan.Alias,
    plan["Index Name"],
  ]
    .filter((part) => part !== undefined)
    .join(" ");
  return plan.Plans === undefined ? own : `${own} (${plan.Plans.map(shapeOfPlan).join(", ")})`;
}

/**
 * The statements that have a server plan a text for any parameters, by PREPARE, which every version has and which refuses what is more
 * than one statement; the plan is in the answer to the third. Prepared anew each time: a plan that is kept would not see which indexes
 * come and go.
 */
export function genericStatements(name: string, text: string, parameters: number): string[] {
  return [
    `PREPARE ${name} AS ${text}`,
    GENERIC,
    explainGeneric(name, parameters),
    `DEALLOCATE ${name}`,
  ];
}

export const GENERIC = "SET /* pgdba */ LOCAL plan_cache_mode = force_generic_plan";

/** Explains a prepared statement; the NULLs given for its parameters do not shape a plan that is generic. */
export function explainGeneric(name: string, parameters: number): string {
  const nulls = Array.from({ length: parameters }, () => "NULL").join(", ");
  return `EXPLAIN /* pgdba */ (FORMAT JSON) EXECUTE ${name}${parameters === 0 ? "" : `(${nulls})`}`;
}

/**
 * A generic plan with all of its partitions. EXPLAIN EXECUTE shows what is left of it for the values given, and NULL is in no partition:
 * what it hides is seen by planning once more without pruning, at the cost that the plan has with it.
 * @param ask plans; with `pruning` off it sets `enable_partition_pruning` off for that once
 */
export async function wholePlan(ask: (pruning: boolean) => Promise<PlanNode>): Promise<PlanNode> {
  const plan = await ask(true);
  if (!nodesOf(plan).some((node) => (node["Subplans Removed"] ?? 0) > 0)) return plan;
  return { ...(await ask(false)), "Total Cost": plan["Total Cost"] };
}

/** Asks for the number of parameters of a prepared statement ($1). */
export const COUNT_PARAMETERS = `SELECT coalesce(pg_catalog.cardinality(parameter_types), 0)::int AS parameters
  FROM pg_catalog.pg_prepared_statements WHERE name = $1`;

export const WITHOUT_PRUNING = "SET LOCAL enable_partition_pruning = off";
