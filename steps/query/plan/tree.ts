import { isMapping, type Json, type JsonObject } from "../../../engine/types.ts";

/** The relation of a node to its parent: EXPLAIN's "Parent Relationship", with CTEs told apart from other InitPlans. */
export type Role =
  | "root"
  | "outer"
  | "inner"
  | "member"
  | "subquery"
  | "init_plan"
  | "sub_plan"
  | "cte";

/** Blocks of 8 kB (the server's block size) that the node itself touched, in all its loops and workers. */
export interface Buffers {
  shared_hit: number;
  shared_read: number;
  shared_dirtied: number;
  shared_written: number;
  local_hit: number;
  local_read: number;
  local_dirtied: number;
  local_written: number;
  temp_read: number;
  temp_written: number;
}

export interface Estimated {
  startup_cost: number;
  total_cost: number;
  /** The cost that this node alone adds to the statement: those of all nodes add up to that of the root. */
  own_cost: number;
  /** For one loop, and of one process where they share the rows. */
  rows: number;
  /** By how many the planner divides the rows that processes share: 2.4 for two workers and the leader; 1 elsewhere. */
  divided_by: number;
  /** The rows of all loops and processes together, comparable with `actual.rows`; of one loop where nothing was executed. */
  all_rows: number;
  width: number;
}

export interface Actual {
  /** In all, over workers and repetitions; 0 means that the node was never executed. */
  loops: number;
  /** In all loops together. */
  rows: number;
  /** The average that EXPLAIN gives, comparable with `estimated.rows`. */
  rows_per_loop: number;
  /** Processes that shared the work below a Gather, the leader included; 1 elsewhere. */
  processes: number;
  /** Milliseconds on the clock, children included; null with TIMING off. */
  time_ms: number | null;
  /** Milliseconds on the clock in this node alone; null with TIMING off. */
  own_ms: number | null;
  /** `own_ms` over the execution time, 0 to 1; null with TIMING off. */
  share: number | null;
}

/** One node of a plan. JSON as it stands. */
export interface PlanNode {
  /** `1` is the root, `1.2` its second child. */
  path: string;
  role: Role;
  /** As the server names it: `Seq Scan`. */
  type: string;
  /** As EXPLAIN's text format writes it: `Index Scan using orders_pkey on orders o`. */
  title: string;
  /** `CTE recent`, `InitPlan 1`, …; null when it is an ordinary child. */
  subplan: string | null;
  relation: { schema: string | null; name: string; alias: string } | null;
  index: string | null;
  estimated: Estimated;
  /** Null when the statement was not executed. */
  actual: Actual | null;
  /** Null when they were not asked for. */
  buffers: Buffers | null;
  /** All else that the server said of the node and that is not false, by EXPLAIN's key in snake_case: `filter`, `workers`, … */
  details: JsonObject;
  children: PlanNode[];
}

export interface Trigger {
  name: string;
  constraint: string | null;
  relation: string;
  calls: number;
  time_ms: number;
}

/** A whole plan. Times are milliseconds, null when the statement was not executed (or TIMING was off). */
export interface Plan {
  root: PlanNode;
  analyzed: boolean;
  planning_ms: number | null;
  execution_ms: number | null;
  triggers: Trigger[];
  /** JIT compilation: functions and milliseconds; null when there was none. */
  jit: {
    functions: number;
    total_ms: number | null;
    parts: Record<string, number>;
    /** The time that the workers spent on it at the same time, added up. */
    workers_ms: number;
    /** `all`: the plan does not tell the leader's figures from the workers', and these are the sum. */
    whose: "leader" | "all";
  } | null;
  /** Settings that are not at their default, as EXPLAIN (SETTINGS) lists them. */
  settings: Record<string, string>;
}

/** The node and all below it, parents first, in the order of EXPLAIN's text. */
export function* walk(node: PlanNode): Generator<PlanNode> {
  yield node;
  for (const child of node.children) yield* walk(child);
}

/** Every node with its ancestors, nearest first. */
export function* withAncestors(
  node: PlanNode,
  above: readonly PlanNode[] = [],
): Generator<[PlanNode, readonly PlanNode[]]> {
  yield [node, above];
  for (const child of node.children) yield* withAncestors(child, [node, ...above]);
}

/** A number among the details; 0 when it is not there. */
export function number(node: PlanNode, key: string): number {
  const value = node.details[key];
  return typeof value === "number" ? value : 0;
}

/** A text among the details; lists are joined. Null when it is not there. */
export function text(node: PlanNode, key: string): string | null {
  const value: Json | undefined = node.details[key];
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "string" ? value : null;
}

/** Details of the node that each worker reported for itself; empty without them. */
export function workers(node: PlanNode): JsonObject[] {
  const list = node.details.workers;
  return Array.isArray(list) ? list.filter(isMapping) : [];
}
