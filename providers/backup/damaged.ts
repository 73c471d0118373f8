import { PgdbaError } from "../../engine/errors.ts";

/** What is stored is not what was written; a repository that does not answer is another error. */
export function damaged(what: string, why: string, cause?: unknown): PgdbaError {
  return new PgdbaError("backup_damaged", `${what} is damaged: ${why}`, {
    hint: "What is stored is not what was written. Use another backup, and look at the storage.",
    cause,
  });
}
