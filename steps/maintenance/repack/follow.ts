import type { Progress, StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { another } from "../../sql/session.ts";
import { ADVISORY, type Note } from "./leftovers.ts";

const POLL_MS = 300;
/** Until its session is known, for so long it is held back. */
const FIRST_POLL_MS = 10;

/** pg_repack's session: it logs in as we do, from where we do, after us, and holds the lock on the table. */
const AT_WORK = `SELECT a.pid, a.backend_start::text AS began, a.query, (pg_blocking_pids(a.pid))[1] AS blocker, p.phase,
  (CASE WHEN p.tuples_total > 0 THEN p.tuples_done ELSE p.blocks_done END)::float8 AS done,
  (CASE WHEN p.tuples_total > 0 THEN p.tuples_total ELSE p.blocks_total END)::float8 AS total, CASE WHEN p.tuples_total > 0 THEN 'rows' ELSE 'blocks' END AS unit
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_stat_activity own ON own.pid = pg_backend_pid()
  LEFT JOIN pg_stat_progress_create_index p ON p.pid = a.pid
  WHERE ${ADVISORY("$1::int8")} AND l.granted AND a.usesysid = own.usesysid AND a.client_addr IS NOT DISTINCT FROM own.client_addr AND a.backend_start > own.backend_start`;

export interface Following {
  /** The last line that the program has written. */
  said: () => string;
  /** Its session is on disk. */
  known: () => void;
  /** On the run's monotonic clock; its session is ended then. */
  until: number | undefined;
  late: () => void;
}

/**
 * Follows our pg_repack until `ended` aborts: puts its session on disk, tells how far it is, and ends it when its time is over.
 * @param pg a session that was opened before the program was started; it is closed in the end
 */
export async function follow(
  ctx: StepContext,
  note: Note,
  pg: PgSession,
  ended: AbortSignal,
  { said, known, until, late }: Following,
): Promise<void> {
  let own = pg;
  try {
    for (;;) {
      if (!own.alive()) own = await another(ctx);
      const [row] = (await own.ask(AT_WORK, [note.oid])).rows;
      if (row !== undefined && row["pid"] !== note.pid) {
        note.pid = Number(row["pid"]);
        note.began = String(row["began"]);
        ctx.note({ ...note });
        known();
      }
      ctx.progress(progressIn(row, said()));
      if (until !== undefined && ctx.clock.monotonic() >= until && row !== undefined) {
        late();
        await own.query("SELECT pg_terminate_backend($1)", [row["pid"]], { changes: true });
      }
      await ctx.clock.sleep(note.pid === null ? FIRST_POLL_MS : POLL_MS, ended);
    }
  } catch (error) {
    if (!ended.aborted) ctx.log(`no progress can be shown: ${(error as Error).message}`);
  } finally {
    await own.close();
  }
}

function progressIn(row: Record<string, unknown> | undefined, said: string): Progress {
  if (row === undefined) return { text: said };
  const blocker = row["blocker"] == null ? "" : `, held up by process ${String(row["blocker"])}`;
  if (row["phase"] != null) {
    const text = `building an index: ${String(row["phase"])}${blocker}`;
    const total = Number(row["total"] ?? 0);
    return total > 0
      ? { done: Number(row["done"]), total, unit: String(row["unit"]), text }
      : { text };
  }
  const query = String(row["query"]);
  if (query.startsWith("INSERT INTO repack.table_")) return { text: `copying its rows${blocker}` };
  if (query.includes("repack_apply"))
    return { text: `carrying over what was written meanwhile${blocker}` };
  return { text: `${said}${blocker}` };
}
