/** What is found in a server that was restored. It only reads; what fails is a finding, not an error, but for SQL that no server could read. */
import { PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import { sqlstateOf } from "../../postgres/errors.ts";
import type { PgSession } from "../../postgres/session.ts";
import type { ScratchServer } from "./scratch-server.ts";

/** A user's own question. It holds when it does not fail, and the first value of its first row is neither false nor null. */
export interface Check {
  database: string;
  sql: string;
}

export interface Look {
  databases: { name: string; bytes: number; tables: number; rows: number | null }[];
  checks: { database: string; sql: string; holds: boolean; why: string | null }[];
  /** Null where no database has the extension. */
  amcheck: {
    relations: number;
    corrupt: { database: string; relation: string; why: string }[];
  } | null;
  seconds: number;
}

interface Looked {
  server: ScratchServer;
  session: PgSession;
  checks: readonly Check[];
  amcheck: boolean;
  count: boolean;
  signal: AbortSignal;
}

const DATABASES = `SELECT datname AS name, pg_database_size(oid)::text AS bytes FROM pg_database
  WHERE NOT datistemplate AND datallowconn ORDER BY datname`;
const TABLES = `SELECT c.oid::regclass::text AS name, format('SELECT count(*)::text AS rows FROM %I.%I', n.nspname, c.relname) AS sql, c.relkind = 'r' AS own
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' ORDER BY 1`;
const INDEXES = `SELECT c.oid::int AS oid, c.oid::regclass::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND i.indisvalid AND c.relpersistence = 'p' ORDER BY c.relpages`;
const HAS_AMCHECK =
  "SELECT extnamespace::regnamespace::text AS schema FROM pg_extension WHERE extname = 'amcheck'";
/** All counting together; what is not counted by then has no count. */
const COUNT_MS = 60_000;
const AMCHECK_MS = 300_000;
/** Of a transaction that recovery stopped in the middle of: it ends when the recovery does. */
const LOCK_MS = 5_000;
const SYNTAX_ERROR = "42601";

export async function lookAt(what: Looked): Promise<Look> {
  const begun = performance.now();
  const look: Look = { databases: [], checks: [], amcheck: null, seconds: 0 };
  const { rows } = await what.session.ask(DATABASES, [], { signal: what.signal });
  for (const row of what.count ? rows : []) {
    const name = String(row["name"]);
    await within(what, name, async (session) => {
      look.databases.push({
        name,
        bytes: Number(row["bytes"]),
        ...(await counted(session, what.signal)),
      });
      if (what.amcheck) await checkIndexes(name, session, look, what.signal);
    });
  }
  for (const { database, sql } of what.checks) {
    const why = await within(what, database, (session) => fails(session, sql, what.signal)).catch(
      (error: unknown) => {
        if (sqlstateOf(error) === SYNTAX_ERROR) throw unreadable(sql, error);
        return toPgdbaError(error).message;
      },
    );
    look.checks.push({ database, sql, holds: why === null, why });
  }
  look.seconds = (performance.now() - begun) / 1000;
  return look;
}

async function within<T>(
  { server, signal }: Looked,
  database: string,
  work: (session: PgSession) => Promise<T>,
): Promise<T> {
  const session = await server.opened(database, signal);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

async function counted(session: PgSession, signal: AbortSignal) {
  const { rows } = await session.ask(TABLES, [], { signal });
  const deadline = performance.now() + COUNT_MS;
  let sum: number | null = 0;
  for (const row of rows) {
    if (row["own"] !== true) continue;
    const timeoutMs = Math.ceil(deadline - performance.now());
    if (timeoutMs <= 0) sum = null;
    if (sum === null) break;
    const count: number | null = await session
      .query(String(row["sql"]), [], { timeoutMs, lockTimeoutMs: LOCK_MS, signal })
      .then(
        (answer) => Number(answer.rows[0]!["rows"]),
        (error: unknown) => {
          // An unlogged table can't be read on a standby; one that is too large is not counted.
          if (signal.aborted) throw error;
          return toPgdbaError(error).code === "timeout" ? null : 0;
        },
      );
    sum = count === null ? null : sum + count;
  }
  return { tables: rows.length, rows: sum };
}

async function checkIndexes(
  database: string,
  session: PgSession,
  look: Look,
  signal: AbortSignal,
): Promise<void> {
  const [extension] = (await session.ask(HAS_AMCHECK, [], { signal })).rows;
  if (!extension) return;
  look.amcheck ??= { relations: 0, corrupt: [] };
  const deadline = performance.now() + AMCHECK_MS;
  for (const { oid, name } of (await session.ask(INDEXES, [], { signal })).rows) {
    const timeoutMs = Math.ceil(deadline - performance.now());
    if (timeoutMs <= 0) break;
    try {
      await session.query(
        `SELECT ${String(extension["schema"])}.bt_index_check($1::int::oid::regclass)`,
        [oid],
        { timeoutMs, signal },
      );
      look.amcheck.relations += 1;
    } catch (error) {
      if (signal.aborted) throw error;
      if (toPgdbaError(error).code !== "timeout")
        look.amcheck.corrupt.push({
          database,
          relation: String(name),
          why: toPgdbaError(error).message,
        });
    }
  }
}

/** Null when it holds. */
async function fails(session: PgSession, sql: string, signal: AbortSignal): Promise<string | null> {
  const { rows } = await session.query(sql, [], {
    timeoutMs: AMCHECK_MS,
    lockTimeoutMs: LOCK_MS,
    signal,
  });
  if (rows.length === 0) return null;
  const [value] = Object.values(rows[0]!);
  return value === false || value === null ? `it gave ${JSON.stringify(value)}` : null;
}

/** It says nothing of the data. */
function unreadable(sql: string, cause: unknown): PgdbaError {
  const { message } = toPgdbaError(cause);
  return new PgdbaError("invalid_param", `This is no SQL: ${sql}: ${message}`, {
    hint: "Correct it, and run again.",
    cause,
  });
}
