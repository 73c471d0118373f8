import { PgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import type { StepContext } from "../../engine/types.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import type { PgConnection } from "../../providers/target/resolve.ts";

/**
 * The session that all SQL of a run shares: the one that holds the target's lock. With `database`, one of its own to another
 * database of the same server, which ends with the run.
 * @throws PgdbaError no_target | connection_failed | missing_secret | lock_lost
 */
export async function session(ctx: StepContext, database?: string): Promise<PgSession> {
  const connection = ctx.target.connection as PgConnection | null;
  if (connection === null) {
    throw new PgdbaError("no_target", "This step needs a PostgreSQL server, but none was named", {
      hint: "Name one with --cluster NAME, --host HOST, or PGDBA_PG_HOST; `--cluster lab` starts one for trying things out.",
    });
  }
  const name = `pgdba/${ctx.run.id}`;
  if (database === undefined || database === connection.spec.database)
    return connection.session(name);
  return ctx.resource(`postgres/${database}`, async () => {
    const value = await connection.open(database, name);
    return { value, close: () => value.close() };
  });
}

/** A further session, to this database; the caller closes it. */
export function another(ctx: StepContext, database?: string): Promise<PgSession> {
  const { spec, open } = ctx.target.connection as PgConnection;
  return open(database ?? spec.database, `pgdba/${ctx.run.id}`);
}

/** A step's duration in milliseconds; undefined stays so. @throws PgdbaError invalid_param */
export function milliseconds(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : parseDuration(duration);
}
