import { PgdbaError } from "../errors.ts";
import type { Journal, RunRow } from "../journal/journal.ts";

/** A run by its id, or by a beginning of it that only one run has. @throws PgdbaError unknown_run */
export function findRun(journal: Journal, id: string): RunRow {
  const exact = journal.run(id);
  if (exact) return exact;
  const ids = id === "" ? [] : journal.idsLike(id);
  const only = ids.length === 1 ? journal.run(ids[0]!) : undefined;
  if (only) return only;
  throw new PgdbaError(
    "unknown_run",
    ids.length > 1
      ? `${ids.length} runs begin with ${id}`
      : `There is no run ${JSON.stringify(id.slice(0, 100))}`,
    { hint: ids.length > 1 ? hintFor(ids) : "`pgdba runs` lists them." },
  );
}

/** Ids named in a hint. */
const SHOWN = 10;

function hintFor(ids: string[]): string {
  const shown = ids.slice(0, SHOWN).join(", ");
  return ids.length > SHOWN ? `The newest are ${shown}.` : `They are ${shown}.`;
}
