import { PgdbaError } from "../../../engine/errors.ts";
import { formatBytes } from "../../../engine/shared/units.ts";
import type { StepContext } from "../../../engine/types.ts";
import { quoteIdent } from "../../../providers/planner/twin/names.ts";
import type { PgSession, TransactionOptions, Run } from "../../../providers/postgres/session.ts";
import { besideName } from "./beside.ts";
import { type Column, columnName, tableName } from "./find.ts";

/** 8 MB of the table in one transaction. */
const PAGES = 1024;
/** PostgreSQL 13 has no scan of a range of row addresses, and is given each address. */
const PAGES_13 = 64;
const PAUSE_MS = 1000;
/** So often a lock is tried for again before the step fails. */
const TRIES = 60;
/** And so often rows that others hold locked are visited again. */
const VISITS = 180;

/** A standby that is waited for, and does not get on for so long, ends the step. */
const STANDING_STILL_MS = 30 * 60_000;

export interface Pace {
  lockTimeoutMs: number | undefined;
  /** Bytes that a standby may be behind before it is waited for. */
  maxLag: number;
}

const BEHIND = `SELECT coalesce(application_name, '') AS name, replay_lsn::text AS lsn, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float8 AS bytes
  FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup' AND replay_lsn IS NOT NULL ORDER BY 3 DESC LIMIT 1`;

/**
 * Fills the new columns of one table from its old ones, page by page, a transaction for each run of pages. Rows that are written meanwhile are
 * filled by the trigger, so that pages beyond the present end need no visit. A row that another transaction holds is not waited for, but visited
 * again: who waits for a row while holding others may make that one the victim of a deadlock.
 * @param from the page to begin at
 * @param reached called after each commit with the page that comes next
 */
export async function backfill(
  ctx: StepContext,
  pg: PgSession,
  columns: readonly Column[],
  from: number,
  pace: Pace,
  reached: (page: number) => void,
): Promise<void> {
  const [first] = columns;
  if (first === undefined) return;
  const ranges = pg.info.version_num >= 140000;
  const pages = ranges ? PAGES : PAGES_13;
  const { fill, open } = statements(columns, ranges);
  const { rows } = await pg.ask(
    "SELECT (pg_relation_size($1::bigint::oid) / current_setting('block_size')::int)::float8 AS pages",
    [first.relid],
  );
  const total = Number(rows[0]?.["pages"]);
  const text = `filling ${columns.map(columnName).join(", ")}`;
  for (let page = from; page < total; page += pages) {
    ctx.progress({ done: page, total, unit: "pages", text });
    const end = Math.min(page + pages, total);
    const values = ranges ? [`(${page},0)`, `(${end},0)`] : [page, end - 1];
    for (let visits = 1, left = true; left; visits += 1) {
      await patiently(ctx, pg, pace, async (run) => {
        if (pg.info.superuser) await run("SET LOCAL session_replication_role = replica");
        await run("SET LOCAL row_security = off");
        await run(fill, values);
        left = (await run(open, values)).rows[0]?.["open"] === true;
      });
      if (!left) break;
      if (visits >= VISITS) throw held(first);
      ctx.progress({
        done: page,
        total,
        unit: "pages",
        text: `${text}: others hold rows of these`,
      });
      await ctx.clock.sleep(PAUSE_MS, ctx.signal);
    }
    reached(end);
    await standbys(ctx, pg, pace.maxLag);
  }
}

/** `ONLY`, for what inherits is a table of its own. */
function statements(columns: readonly Column[], ranges: boolean): { fill: string; open: string } {
  const table = columns[0] === undefined ? "" : tableName(columns[0]);
  const set = columns.map((one) => `${besideName(one)} = ${quoteIdent(one.name)}`);
  const differs = columns.map(
    (one) => `${besideName(one)} IS DISTINCT FROM ${quoteIdent(one.name)}`,
  );
  const where = ranges
    ? "ctid >= $1::tid AND ctid < $2::tid"
    : `ctid = ANY (ARRAY(SELECT format('(%s,%s)', p, r)::tid FROM generate_series($1::bigint, $2::bigint) AS p,
         generate_series(1, current_setting('block_size')::int / 28) AS r))`;
  const rows = `FROM ONLY ${table} WHERE ${where} AND (${differs.join(" OR ")})`;
  return {
    fill: `UPDATE ONLY ${table} SET ${set.join(", ")} WHERE ctid = ANY (ARRAY(SELECT ctid ${rows} FOR NO KEY UPDATE SKIP LOCKED))`,
    open: `SELECT EXISTS (SELECT ${rows}) AS open`,
  };
}

function held(column: Column): PgdbaError {
  return new PgdbaError(
    "timeout",
    `Others hold rows of ${tableName(column)} that are to be filled`,
    {
      hint: "End what holds them for so long (`pgdba session list` shows the oldest transactions), then run it again.",
      retryable: true,
    },
  );
}

/** A transaction that waits briefly for its locks, and tries again: meanwhile others get through. */
export async function patiently(
  ctx: StepContext,
  pg: PgSession,
  { lockTimeoutMs }: Pick<Pace, "lockTimeoutMs">,
  work: (run: Run) => Promise<void>,
): Promise<void> {
  const options: TransactionOptions = { readOnly: false, lockTimeoutMs, signal: ctx.signal };
  for (let tries = 1; ; tries += 1) {
    try {
      return await pg.transaction(options, work);
    } catch (error) {
      const again = error instanceof PgdbaError && error.retryable && pg.alive();
      if (!again || tries >= TRIES || ctx.signal.aborted) throw error;
      ctx.progress({ text: `trying again: ${error.message}` });
      await ctx.clock.sleep(PAUSE_MS, ctx.signal);
    }
  }
}

/**
 * Waits while a standby is too far behind and gets on; one whose place this user may not see is not waited for.
 * @throws PgdbaError timeout when it stands still
 */
export async function standbys(ctx: StepContext, pg: PgSession, maxLag: number): Promise<void> {
  let stands: { at: unknown; since: number } | undefined;
  for (;;) {
    const [last] = (await pg.ask(BEHIND)).rows;
    if (last === undefined || Number(last["bytes"]) <= maxLag) return;
    const name = String(last["name"]);
    const now = ctx.clock.monotonic();
    const at = `${name} ${String(last["lsn"])}`;
    if (stands?.at !== at) stands = { at, since: now };
    if (now - stands.since > STANDING_STILL_MS) throw standsStill(name, Number(last["bytes"]));
    const megabytes = Math.round(Number(last["bytes"]) / 1024 ** 2);
    ctx.progress({
      text: `waiting for the standby ${name}, which is ${megabytes} MB behind (is its replay paused, or held up by a query?)`,
    });
    await ctx.clock.sleep(PAUSE_MS, ctx.signal);
  }
}

function standsStill(name: string, bytes: number): PgdbaError {
  return new PgdbaError(
    "timeout",
    `The standby ${name} has replayed nothing for ${STANDING_STILL_MS / 60_000} minutes and is ${formatBytes(bytes)} behind`,
    {
      hint: "Let it go on: `pgdba replica replay-resume --host STANDBY` where its replay is paused, `pgdba session list --host STANDBY` shows a query that holds it up. Then run it again; a larger --max-lag does not wait for it.",
    },
  );
}
