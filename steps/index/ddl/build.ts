import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import type { PgConnection } from "../../../providers/target/resolve.ts";
import { session } from "../../sql/session.ts";
import type { Definition } from "./definition.ts";
import { dropIndex, findIndex } from "./existing.ts";

const POLL_MS = 1000;

const PROGRESS = `SELECT phase, coalesce(blocks_total, 0)::float8 AS blocks, coalesce(blocks_done, 0)::float8 AS blocks_done,
  coalesce(tuples_total, 0)::float8 AS tuples, coalesce(tuples_done, 0)::float8 AS tuples_done, current_locker_pid AS locker
  FROM pg_stat_progress_create_index WHERE pid = $1`;

export interface BuildOptions {
  lockTimeoutMs: number | undefined;
  timeoutMs?: number | undefined;
}

/** Builds an index, logging how far the server is. When that fails, what it leaves behind is dropped: an invalid index costs every write. */
export async function build(
  ctx: StepContext,
  definition: Definition,
  schema: string,
  options: BuildOptions,
): Promise<void> {
  const pg = await session(ctx);
  const ended = new AbortController();
  const watching = watch(ctx, pg.info.pid, ended.signal);
  try {
    await pg.query(definition.sql, [], { ...options, signal: ctx.signal, changes: true });
  } catch (error) {
    await sweep(ctx, schema, definition.name, options).catch((left: Error) => {
      ctx.warn(`The invalid index ${schema}.${definition.name} may be left: ${left.message}`);
    });
    throw error;
  } finally {
    ended.abort();
    await watching;
  }
}

/** Drops the index when it is not valid and nobody builds it. */
export async function sweep(
  ctx: StepContext,
  schema: string,
  name: string,
  options: BuildOptions,
): Promise<boolean> {
  const pg = await session(ctx);
  const left = await findIndex(pg, schema, name);
  if (left === null || left.valid || left.partitioned || left.builder !== null) return false;
  ctx.log(`dropping the invalid index ${schema}.${name}`);
  await dropIndex(pg, schema, name, { lockTimeoutMs: options.lockTimeoutMs });
  return true;
}

/** Logs the server's progress from a session of its own, once a second. Without one the build goes on unwatched. */
async function watch(ctx: StepContext, pid: number, ended: AbortSignal): Promise<void> {
  const connection = ctx.target.connection as PgConnection;
  let other: PgSession | undefined;
  let last = "";
  try {
    await ctx.clock.sleep(POLL_MS, ended);
    other = await connection.open(connection.spec.database, `pgdba/${ctx.run.id}`);
    for (;;) {
      const { rows } = await other.ask(PROGRESS, [pid]);
      const line = rows[0] === undefined ? last : lineOf(rows[0]);
      if (line !== last) ctx.log(line);
      last = line;
      await ctx.clock.sleep(POLL_MS, ended);
    }
  } catch (error) {
    if (!ended.aborted) ctx.log(`no progress can be shown: ${(error as Error).message}`);
  } finally {
    await other?.close();
  }
}

function lineOf(row: Record<string, unknown>): string {
  const [total, done] =
    Number(row["tuples"]) > 0
      ? [row["tuples"], row["tuples_done"]]
      : [row["blocks"], row["blocks_done"]];
  const share = Number(total) > 0 ? ` ${Math.floor((100 * Number(done)) / Number(total))} %` : "";
  const locker = Number(row["locker"]) > 0 ? `, held up by process ${String(row["locker"])}` : "";
  return `${String(row["phase"])}${share}${locker}`;
}
