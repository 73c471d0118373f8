import type { PgSession } from "../../../providers/postgres/session.ts";

/** A transaction that was committed, and the WAL that holds it. */
export interface Mark {
  xid: string;
  lsn: string;
}

/** A logical message makes the transaction write WAL, which nobody reads who does not ask for such messages. */
const MARK =
  "SELECT pg_current_xact_id()::text AS xid, pg_logical_emit_message(true, 'pgdba', $1)::text AS lsn";
const END = "SELECT pg_current_wal_insert_lsn()::text AS lsn";

/** @throws PgdbaError as `transaction` does */
export async function commitMark(pg: PgSession, text: string, signal: AbortSignal): Promise<Mark> {
  const { rows } = await pg.transaction({ readOnly: false, signal }, (run) => run(MARK, [text]));
  const end = await pg.ask(END, [], { signal });
  return { xid: String(rows[0]!["xid"]), lsn: String(end.rows[0]!["lsn"]) };
}

/** A server that has never given an id out says so with an error: then nothing of it is there. */
const MISSING = `SELECT x AS xid FROM unnest($1::text[]) x
WHERE CASE WHEN x::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) THEN true
  ELSE pg_xact_status(x::xid8) IS DISTINCT FROM 'committed' END`;

/** The marks of these that are not there. */
export async function missingMarks(
  pg: PgSession,
  xids: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const { rows } = await pg.ask(MISSING, [xids], { signal, maxRows: 1_000_000 });
  return rows.map(({ xid }) => String(xid));
}
