import { PgdbaError } from "../errors.ts";
import type { Said, StepRow } from "../journal/journal.ts";
import type { Answer } from "../journal/rows.ts";
import { suggest } from "../shared/suggest.ts";

/** Paths of the steps that a person's word can be about: those under way when their process died, and those an undo failed at. */
function openSteps(rows: readonly StepRow[]): string[] {
  const byPath = new Map(rows.map((row) => [row.path, row]));
  const open = rows.filter((row) => row.status === "open" || row.status === "unknown");
  const endedAt = rows.flatMap((row) =>
    /~(undo|always)$/.test(row.path) && row.result?.error
      ? [row.result.error.step ?? row.path]
      : [],
  );
  const failed = endedAt.filter((path) => byPath.get(path)?.status === "failed");
  return [...new Set([...open.map((row) => row.path), ...failed])];
}

/**
 * The answers that open steps get. An answer that was given before and is given once more changes nothing.
 * @throws PgdbaError usage when something is said of a step that is not open, or was said otherwise before
 */
export function checkAnswers(
  rows: readonly StepRow[],
  given: readonly Answer[],
  said: ReadonlyMap<string, Said>,
): Map<string, Said> {
  const open = openSteps(rows);
  const fresh = new Map<string, Said>();
  for (const [path, word] of said) {
    const before = given.findLast((one) => one.path === path);
    if (open.includes(path)) fresh.set(path, word);
    else if (before?.said !== word) {
      const row = rows.find((one) => one.path === path);
      throw new PgdbaError("usage", `--assume ${path}=${word}: ${whyNot(row, before)}`, {
        hint: whatIsOpen(path, row, open),
      });
    }
  }
  return fresh;
}

function whyNot(row: StepRow | undefined, before: Answer | undefined): string {
  if (before !== undefined)
    return `at ${before.at} it was said to be ${before.said}, and the run has gone on from there`;
  if (row === undefined) return "the run has begun no such step";
  if (row.status === "retrying") return "its last attempt has failed, and the next had not begun";
  return `the step is not open: it ended as ${row.status}`;
}

function whatIsOpen(path: string, row: StepRow | undefined, open: readonly string[]): string {
  if (open.length === 0)
    return "No step of this run waits for an answer; `pgdba resume` without --assume goes on.";
  const few = open.slice(0, 10).join(", ");
  const more = open.length > 10 ? ` and ${open.length - 10} more` : "";
  const near = row === undefined ? suggest(path, open) : undefined;
  return `${near === undefined ? "" : `Did you mean ${near}? `}Steps that wait for an answer: ${few}${more}.`;
}
