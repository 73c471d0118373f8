import { PgdbaError } from "../../../engine/errors.ts";
import type { PgSession, Run } from "../../../providers/postgres/session.ts";

/** A schema that drills make for themselves. Its mark tells it from one of somebody else. */
export interface OwnSchema {
  name: string;
  mark: string;
}

export async function createSchema(run: Run, { name, mark }: OwnSchema): Promise<void> {
  await run(`CREATE SCHEMA ${name}`);
  await run(`COMMENT ON SCHEMA ${name} IS '${mark}'`);
}

export async function ownerOf(
  pg: PgSession,
  { name, mark }: OwnSchema,
): Promise<"nobody" | "ours" | "other"> {
  const { rows } = await pg.ask(
    "SELECT obj_description(oid, 'pg_namespace') AS said FROM pg_namespace WHERE nspname = $1",
    [name],
  );
  if (rows[0] === undefined) return "nobody";
  return rows[0]["said"] === mark ? "ours" : "other";
}

const PUBLISHED = `SELECT pubname AS name FROM pg_publication
WHERE puballtables AND EXISTS (SELECT FROM pg_replication_slots WHERE slot_type = 'logical' AND database = current_database())
ORDER BY pubname LIMIT 1`;

/** A subscriber stops at the first row of a table that it does not have, for good: what was written stays in the WAL. @throws PgdbaError step_refused */
export async function assertUnpublished(pg: PgSession): Promise<void> {
  const [found] = (await pg.ask(PUBLISHED)).rows;
  if (found === undefined) return;
  throw new PgdbaError(
    "step_refused",
    `The publication ${String(found["name"])} publishes all tables of ${pg.info.database}, which has logical slots: their subscribers would stop at the tables of the drill`,
    {
      hint: "Name another database with --database, or let it publish named tables (FOR TABLE …).",
      nothingDone: true,
    },
  );
}

export function notOurs({ name }: OwnSchema): PgdbaError {
  return new PgdbaError("step_refused", `There is a schema ${name} that no drill has made`, {
    hint: `A drill needs that name. Look what it holds, and rename it: ALTER SCHEMA ${name} RENAME TO …`,
    nothingDone: true,
  });
}
