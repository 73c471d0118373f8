import LOCK_TOGETHER from "../sql/lock-together.sql" with { type: "text" };
import type { StepContext } from "../../../engine/types.ts";
import type { PgSession, Run } from "../../../providers/postgres/session.ts";

const SET = "SELECT pg_catalog.set_config($1, $2, true)";

/**
 * One transaction that locks all the tables before it does `work`, and that never makes another one the victim of a deadlock. A session that waits
 * looks for a deadlock once, when it has waited for deadlock_timeout. So this one waits for the first table as long as it may, for it holds nothing
 * yet, and for all others only while nobody can have waited so long: it has begun a moment ago, and nobody waited then. What it does not get so, it
 * does not wait for: it lets go of everything, and begins with that one the next time.
 * @param tables their names, quoted
 * @param lockTimeoutMs how long all this is tried
 * @throws PgdbaError timeout when they could not be had
 */
export function lockedTogether<T>(
  ctx: StepContext,
  pg: PgSession,
  lockTimeoutMs: number,
  tables: readonly string[],
  work: (run: Run) => Promise<T>,
): Promise<T> {
  const options = { readOnly: false, lockTimeoutMs, signal: ctx.signal };
  return pg.transaction(options, async (run) => {
    if (tables.length > 0) {
      // The work may run functions of indexes, which go by the path that is set here.
      const { rows } = await run("SELECT pg_catalog.current_setting('search_path') AS path");
      await run(SET, ["search_path", "pg_catalog"]);
      await run("SELECT pg_catalog.set_config('pgdba.tables', $1::text[]::text, true)", [tables]);
      await run(SET, ["pgdba.lock_ms", String(lockTimeoutMs)]);
      await run(LOCK_TOGETHER);
      await run(SET, ["search_path", rows[0]?.["path"]]);
      // Of what can't be locked beforehand, such as a sequence. It is as short as it can be set.
      await run(SET, ["lock_timeout", "1ms"]);
    }
    return work(run);
  });
}
