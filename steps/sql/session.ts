import { parseDuration } from "../../engine/shared/units.ts";
import type { StepContext } from "../../engine/types.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import type {} from "../../providers/target/access.ts";

/**
 * The session that all SQL of a run shares: the one that holds the target's lock. With `database`, one to another database of the same
 * server. One that ended is opened again: ask for it when it is needed.
 * @throws PgdbaError no_target | connection_failed | missing_secret | lock_lost
 */
export async function session(ctx: StepContext, database?: string): Promise<PgSession> {
  return (await ctx.use("postgres")).session(database);
}

/** A further session, to this database; the caller closes it. */
export async function another(ctx: StepContext, database?: string): Promise<PgSession> {
  return (await ctx.use("postgres")).open(database);
}

/** Which session this is, by its beginning too: the number of a process is given to another one when it has ended. */
export async function backendOf(pg: PgSession): Promise<{ pid: number; began: string }> {
  const { rows } = await pg.ask(
    "SELECT backend_start::text AS began FROM pg_stat_activity WHERE pid = pg_backend_pid()",
  );
  return { pid: pg.info.pid, began: String(rows[0]?.["began"]) };
}

/** Which server this is, of those that have been the primary, and since which start: each counts for itself. */
export async function serverOf(pg: PgSession): Promise<string> {
  const { rows } = await pg.ask("SELECT pg_postmaster_start_time()::text AS started");
  return String(rows[0]?.["started"]);
}

/** Does `work` with a session of its own to one member of the cluster. @throws PgdbaError invalid_param | connection_failed */
export async function onMember<T>(
  ctx: StepContext,
  member: string,
  work: (pg: PgSession) => Promise<T>,
  database?: string,
): Promise<T> {
  const pg = await (await ctx.use("member")).open(member, database);
  try {
    return await work(pg);
  } finally {
    await pg.close();
  }
}

/** A step's duration in milliseconds; undefined stays so. @throws PgdbaError invalid_param */
export function milliseconds(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : parseDuration(duration);
}
