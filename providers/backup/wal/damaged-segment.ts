import { PgdbaError } from "../../../engine/errors.ts";

export const damagedSegment = (name: string, cause: unknown): PgdbaError =>
  new PgdbaError("repository_failed", `${name} is damaged in the repository`, {
    cause,
    hint: "What needs it can't be restored: remove the object and push the segment again from a node that still has it in pg_wal, or take a full backup.",
  });
