import type { Progress, StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { another } from "../session.ts";

const POLL_MS = 1000;

/** How far a session is, by whichever of the server's progress views it stands in; who keeps it waiting for a lock. */
const PROGRESS = `SELECT p.phase, p.done::float8 AS done, p.total::float8 AS total, p.unit, coalesce(nullif(p.locker, 0), b.pid) AS locker
  FROM (SELECT (pg_blocking_pids($1))[1] AS pid) b LEFT JOIN (
    SELECT phase, heap_blks_scanned AS done, heap_blks_total AS total, 'blocks' AS unit, 0 AS locker FROM pg_stat_progress_vacuum WHERE pid = $1
    UNION ALL
    SELECT phase, sample_blks_scanned, sample_blks_total, 'blocks', 0 FROM pg_stat_progress_analyze WHERE pid = $1
    UNION ALL
    SELECT phase, CASE WHEN tuples_total > 0 THEN tuples_done ELSE blocks_done END, CASE WHEN tuples_total > 0 THEN tuples_total ELSE blocks_total END,
      CASE WHEN tuples_total > 0 THEN 'rows' ELSE 'blocks' END, current_locker_pid
    FROM pg_stat_progress_create_index WHERE pid = $1
  ) p ON true`;

/**
 * Tells once a second, from a session of its own, how far the server is with the command of session `pid`, until `ended` aborts. Without
 * such a session the command goes on unwatched.
 */
export async function watch(ctx: StepContext, pid: number, ended: AbortSignal): Promise<void> {
  let other: PgSession | undefined;
  try {
    await ctx.clock.sleep(POLL_MS, ended);
    other = await another(ctx);
    for (;;) {
      const { rows } = await other.ask(PROGRESS, [pid]);
      const told = rows[0] === undefined ? null : progressIn(rows[0]);
      if (told !== null) ctx.progress(told);
      await ctx.clock.sleep(POLL_MS, ended);
    }
  } catch (error) {
    if (!ended.aborted) ctx.log(`no progress can be shown: ${(error as Error).message}`);
  } finally {
    await other?.close();
  }
}

function progressIn(row: Record<string, unknown>): Progress | null {
  const locker = row["locker"] == null ? "" : `held up by process ${String(row["locker"])}`;
  const text = [row["phase"], locker].filter((part) => part != null && part !== "").join(", ");
  if (text === "") return null;
  const total = Number(row["total"] ?? 0);
  if (!(total > 0)) return { text };
  return { done: Number(row["done"]), total, unit: String(row["unit"]), text };
}
