import { PgdbaError } from "../errors.ts";
import type { Journal } from "../journal/journal.ts";
import { verifyAudit } from "../journal/verify.ts";
import type { Json } from "../types.ts";
import type { Result } from "./command.ts";

/** Fewer characters of a hash could be met by chance. */
const SHORTEST_HEAD = 16;

/** `pgdba runs verify`. @throws PgdbaError audit_broken with what does not fit; usage for a head that is none */
export function verifyRuns(journal: Journal, given: unknown): Result {
  const head = headOf(given);
  const { problems, count, found, ...audit } = verifyAudit(journal.db, head);
  const all = [
    ...(found === null
      ? [`No entry has the head ${head}: what was on record when it was told is no longer there`]
      : []),
    ...problems,
  ];
  const told = { ...audit, ...(found === undefined ? {} : { found }) } as unknown as Json;
  if (all.length === 0) return { exit: 0, data: told };
  const more = count > problems.length ? ` (and ${count - problems.length} more)` : "";
  throw new PgdbaError("audit_broken", `The audit does not hold: ${all.join(". ")}${more}`, {
    hint: "Somebody, or a damaged disk, changed the journal past pgdba. Keep a copy of journal.db in PGDBA_HOME, and ask who can write that folder; `pgdba runs` still shows what it says.",
    data: { audit: told, problems: all, count: count + (found === null ? 1 : 0) },
  });
}

function headOf(given: unknown): string | undefined {
  if (given === undefined) return undefined;
  const head = String(given).toLowerCase();
  if (/^[0-9a-f]+$/.test(head) && head.length >= SHORTEST_HEAD && head.length <= 64) return head;
  throw new PgdbaError("usage", "--head takes a hash of the audit, or its first 16 characters", {
    hint: "An envelope has it in `data.run.audit.head` (`error.run.audit.head` when the run failed).",
  });
}
