import { PgdbaError } from "../../../engine/errors.ts";
import type { Found } from "../sides/found.ts";

/** What is asked for. */
interface Wanted {
  missing?: boolean | undefined;
  different?: boolean | undefined;
}

/** @throws PgdbaError invalid_param */
export function assertSome({ missing = true, different = false }: Wanted): void {
  if (missing || different) return;
  throw new PgdbaError(
    "invalid_param",
    "Neither missing rows nor different ones are to be copied",
    {
      hint: "Leave out --no-missing, or add --different.",
    },
  );
}

/** @throws PgdbaError step_refused where an index is damaged */
export function assertUnique(found: Found): void {
  if (found.twice === 0) return;
  throw new PgdbaError(
    "step_refused",
    `${found.twice} rows have the key of another row on the same side`,
    {
      hint: "Nothing was changed: an index is damaged there. constraint duplicates shows the rows, index verify the index.",
      data: found.told().twice_keys,
      nothingDone: true,
    },
  );
}

/** @throws PgdbaError step_failed where the server wrote fewer rows than were wanted */
export function assertAll(found: number, wanted: number, what: string): void {
  if (found === wanted) return;
  throw new PgdbaError(
    "step_failed",
    `${found} of ${wanted} rows were ${what}: nothing was changed`,
    {
      hint: "A trigger or a rule of the table kept the others out, or a row was changed meanwhile. `--plan` names the triggers.",
      nothingDone: true,
    },
  );
}

export function otherRows(
  said: number,
  found: { inserted: number; overwritten: number },
): PgdbaError {
  const total = found.inserted + found.overwritten;
  return new PgdbaError(
    "step_failed",
    `It would change ${total} rows, and not ${said}: nothing was changed`,
    {
      hint: `${found.inserted} would be inserted and ${found.overwritten} overwritten. Look at them with rows/compare first; where they are the right ones, say ${total}.`,
      data: { said, ...found },
      nothingDone: true,
    },
  );
}
