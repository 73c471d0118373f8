import { type IndexDef } from "../../../providers/planner/twin/twin.ts";

/** A candidate and the statements (by number) that asked for it. */
export interface Candidate {
  def: IndexDef;
  sql: string;
  statements: Set<number>;
  /** One key that is compared for equality, and nothing more. */
  lookup: boolean;
  /** The candidate in whose place it stands. */
  instead?: string;
}

/** A candidate that could be made. */
export interface Sized extends Candidate {
  bytes: number;
  /** What it is called in plans, with its parts on partitions. */
  names: string[];
  /** What has to be known of it. */
  notes: readonly string[];
}
