import { stateOf } from "../journal/holder.ts";
import type { RunRow } from "../journal/journal.ts";

/** True when `pgdba resume` goes on with it, as far as its own record tells. */
export function isResumable(row: RunRow): boolean {
  const open = ["running", "interrupted", "needs_operator", "waiting"].includes(row.status);
  return open && !row.plan && !isUnwound(row) && !isAtWork(row);
}

/** A run that was interrupted and then taken back has nothing left to do: where an undo had failed, an operator would be needed. */
export function isUnwound(row: RunRow): boolean {
  return row.status === "interrupted" && row.unwinding !== null;
}

/** If its process can't be seen from here, the lock decides. */
export function isAtWork(row: RunRow): boolean {
  return row.status === "running" && stateOf(row.holder) === "alive";
}
