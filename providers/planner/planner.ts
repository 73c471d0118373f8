import type { Catalogue, Limit } from "./twin/catalogue.ts";
import type { IndexDef } from "./twin/index-def.ts";
import type { PlanNode } from "./twin/plan.ts";

export interface ExplainOptions {
  /** Indexes to pretend. */
  with?: readonly IndexDef[];
  /** Indexes to pretend away: `schema.name`, as `catalogue.indexes` has them. */
  without?: readonly string[];
}

/** An index that a planner pretends. */
export interface Pretended {
  /** Estimated. */
  bytes: number;
  /** The names of the index in plans, with those of its parts on partitions. */
  names: string[];
  /** The types of its columns, in their order; empty where the planner can't tell. */
  types: string[];
}

/** Tells what a statement would cost with other indexes: the planner of the twin, or that of the server itself. */
export interface Planner {
  /** The catalogue that was read from the server. */
  readonly catalogue: Catalogue;
  /** Objects that it can't know or handle, each with the reason; the list may grow while it is used. */
  readonly limits: readonly Limit[];
  /** True when `without` can be asked for. */
  readonly hides: boolean;
  /**
   * The plan of one statement; with `$1`, the generic plan, as pg_stat_statements' texts need. Nothing is executed.
   * @throws PgdbaError query_failed | unsupported when the statement can't be planned
   */
  explain(sql: string, options?: ExplainOptions): Promise<PlanNode>;
  /** For each index its size and names; null for one that can't be made, or that the server has already. */
  sizes(indexes: readonly IndexDef[]): Promise<(Pretended | null)[]>;
  /** These indexes will not be asked for again soon; one that is can be had all the same. */
  forget(indexes: readonly IndexDef[]): Promise<void>;
  /** Leaves nothing behind. */
  close(): Promise<void>;
}
