import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject, StepContext } from "../../../engine/types.ts";
import { session } from "../../sql/session.ts";

/** REPACK_LOCK_PREFIX of pg_repack: its session holds the advisory lock (this, table's oid - 2^31) as long as it works on the table. */
const PREFIX = 16_185_446;

/** Of `l`, a row of pg_locks: whether it is that lock on the table `oid`, which is an expression in SQL. */
export const ADVISORY = (oid: string) =>
  `l.locktype = 'advisory' AND l.objsubid = 2 AND l.classid = ${PREFIX}::oid AND l.objid::int8 = (${oid}::oid::int8 + 2147483648) % 4294967296
    AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())`;

/** Under pg_repack's own lock, so that nothing is taken from one that is at work. It drops the trigger, the log, its type and the copy. */
const SWEEP = `SELECT CASE WHEN pg_try_advisory_xact_lock(${PREFIX}, (-2147483648 + $1::int8)::int4) THEN repack.repack_drop($1::int8::oid, 4)::text || 'done' END AS done`;

/** Whoever reads or writes the table waits behind us for no longer than this. */
const TRY_MS = 300;
const PAUSE_MS = 700;
const ENDS_WITHIN_MS = 10_000;
const POLL_MS = 100;

/**
 * Drops what a repack that was broken off has left on the table, as pg_repack itself would. Dropping its trigger takes an exclusive lock, which is
 * tried for a moment at a time.
 * @throws PgdbaError timeout | step_refused when another pg_repack works on the table
 */
export async function sweep(
  ctx: StepContext,
  { name, oid }: { name: string; oid: number },
  lockTimeoutMs: number,
): Promise<void> {
  ctx.log(`dropping what an earlier pg_repack has left of ${name}`);
  const until = ctx.clock.monotonic() + lockTimeoutMs;
  for (;;) {
    try {
      const pg = await session(ctx);
      const { rows } = await pg.query(SWEEP, [oid], { lockTimeoutMs: TRY_MS, changes: true });
      if (rows[0]?.["done"] != null) return;
      throw new PgdbaError("step_refused", `Another pg_repack works on ${name} now`, {
        hint: "Wait for it to end, then run again.",
        retryable: true,
      });
    } catch (error) {
      if (!(error instanceof PgdbaError) || error.code !== "timeout") throw error;
      if (ctx.clock.monotonic() >= until)
        throw new PgdbaError(
          "timeout",
          `What an earlier pg_repack has left of ${name} (the trigger repack_trigger, tables in the schema repack) could not be dropped: others hold locks on the table`,
          {
            hint: "`pgdba locks tree` shows who; then run again, with a longer --lock-timeout if need be.",
            retryable: true,
            cause: error,
          },
        );
    }
    await ctx.clock.sleep(PAUSE_MS, ctx.signal);
  }
}

/** What the step keeps on disk. */
export interface Note {
  oid: number;
  name: string;
  /** Before the rewriting. */
  filenode: number;
  bytes: number;
  /** pg_repack's session, once it is known. */
  pid: number | null;
  began: string | null;
}

export function noteOf(ctx: StepContext): Note | null {
  const note = ctx.noted as JsonObject | undefined;
  return note === undefined ? null : (note as unknown as Note);
}

/** Ends the session of our own pg_repack, which has ended itself: the server would copy on for hours. Waits until it is gone. */
export async function endOwn(ctx: StepContext): Promise<void> {
  const note = noteOf(ctx);
  if (note === null || note.pid === null) return;
  const until = ctx.clock.monotonic() + ENDS_WITHIN_MS;
  for (;;) {
    const pg = await session(ctx);
    const { rows } = await pg.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2",
      [note.pid, note.began],
      { changes: true },
    );
    if (rows.length === 0) return;
    if (ctx.clock.monotonic() >= until)
      throw new PgdbaError(
        "timeout",
        `Process ${note.pid}, which was to repack ${note.name}, does not end`,
        { hint: "Run again when it has ended.", retryable: true },
      );
    await ctx.clock.sleep(POLL_MS);
  }
}
