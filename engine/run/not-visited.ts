import { PgdbaError } from "../errors.ts";
import type { StepRow } from "../journal/journal.ts";
import { happenedBefore, howToAnswer } from "./restore.ts";
import type { RunState } from "./state.ts";

/** Steps of an earlier process that may have acted, and that this one did not come by again. */
export function notVisited({ memo, visited, covered }: RunState): StepRow[] {
  return [...memo.values()].filter((row) => {
    const { path, status, assumed } = row;
    if (visited.has(path) || status === "skipped" || happenedBefore(row) === "no") return false;
    // An answer about it holds; an inverse and an `always` are listed with the step that they belong to.
    if (assumed !== null || /~(undo|always)$/.test(path)) return false;
    return !coveredBy(covered, path);
  });
}

/** True when a step around it was found as it had ended. */
function coveredBy(covered: ReadonlySet<string>, path: string): boolean {
  if (covered.size === 0) return false;
  for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1))
    if (covered.has(path.slice(0, at).replace(/@\d+$/, ""))) return true;
  return false;
}

/** A run does not end well while nobody knows what became of one of its steps. @throws PgdbaError needs_operator */
export function assertAllVisited(state: RunState): void {
  const paths = notVisited(state).map(({ path }) => path);
  if (paths.length === 0) return;
  state.journal.markUnknown(state.id, paths);
  for (const path of paths) state.asked.add(path);
  throw new PgdbaError(
    "needs_operator",
    `The earlier process began what this one did not come to again: ${paths.slice(0, 5).join(", ")}${paths.length > 5 ? ` and ${paths.length - 5} more` : ""}`,
    { step: paths[0], hint: howToAnswer(state.id, paths) },
  );
}
