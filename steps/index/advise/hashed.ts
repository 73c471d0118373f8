import { indexSql } from "../../../providers/planner/twin/twin.ts";
import type { Candidate } from "./candidate.ts";

/** An index on the hashes of a key: as short as any, and of use for equality. */
export function hashed(candidate: Candidate): Candidate {
  const def = { ...candidate.def, method: "hash" };
  return { ...candidate, def, sql: indexSql(def), lookup: false, instead: candidate.sql };
}
