import { type IndexDef } from "../../../providers/planner/twin/twin.ts";

/** A candidate and the statements (by number) that asked for it. */
export interface Candidate {
  def: IndexDef;
  sql: string;
  statements: Set<number>;
  /** True for a single key that is compared for equality. */
  lookup: boolean;
  /** The candidate in whose place it stands. */
  instead?: string;
}

/** A candidate that could be made. */
export interface Sized extends Candidate {
  bytes: number;
  /** The names of the index in plans, with those of its parts on partitions. */
  names: string[];
  /** Remarks that a person has to read before making it. */
  notes: readonly string[];
}
