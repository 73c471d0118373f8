import type { TableUse } from "./scope.ts";
import type { Sampled } from "./shapes.ts";

/** A statement with how it uses its tables. */
export interface Work extends Sampled {
  uses: TableUse[];
  /** Oids of its tables and of the partitioned tables they belong to. */
  relations: ReadonlySet<number>;
}

/** The rows that the workload writes to a table, for the cost of keeping an index on it. */
export interface Writes {
  inserted: number;
  updated: number;
  /** Rows updated by statements that set a column, by column. */
  set: Map<string, number>;
}
