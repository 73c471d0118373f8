import { PgdbaError } from "../../engine/errors.ts";
import type { BackupRecord, Part } from "../../providers/backup/record.ts";

/** The dump of a database in a logical backup; of the only one where nobody names it. @throws PgdbaError invalid_param | step_refused */
export function dumpOf(record: BackupRecord, database: string | null): Part & { database: string } {
  if (record.type !== "logical") {
    throw new PgdbaError(
      "step_refused",
      `${record.id} is a ${record.type} backup of the whole cluster, and no dump`,
      {
        hint: "It is restored as a whole; a database alone comes out of a logical backup: `pgdba backup dump`.",
      },
    );
  }
  const dumps = record.parts.filter(
    (part): part is Part & { database: string } =>
      part.kind === "dump" && part.database !== undefined,
  );
  const found =
    database === null && dumps.length === 1
      ? dumps[0]
      : dumps.find((part) => part.database === database);
  if (found !== undefined) return found;
  throw new PgdbaError(
    "invalid_param",
    database === null
      ? `${record.id} has several databases`
      : `${record.id} has no database ${database}`,
    {
      hint: `It has ${dumps.map((part) => part.database).join(", ")}: name one with --in-database.`,
    },
  );
}

/** @throws PgdbaError step_refused: dumps go to a server of the same major version or a newer one */
export function assertNotOlder(record: BackupRecord, version_num: number): void {
  const from = Number.parseInt(record.server.version, 10);
  const to = Math.floor(version_num / 10_000);
  if (to >= from) return;
  throw new PgdbaError(
    "step_refused",
    `${record.id} is of PostgreSQL ${from}, and this server is ${to}`,
    {
      hint: "A dump can be restored to the same version or a newer one, never to an older one.",
    },
  );
}

/** The major version of the pg_dump that made it: an older pg_restore can't read it. */
export function toolMajor(record: BackupRecord): number {
  return Number(/^pg_dump (\d+)/.exec(record.tool)?.[1] ?? 0);
}
