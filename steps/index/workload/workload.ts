import type { JsonObject } from "../../../engine/types.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import { MARK } from "../../../providers/postgres/own.ts";
import type { Texts } from "../../../providers/postgres/recorded-texts.ts";
import { inOrigin, positionOf } from "../../../providers/parameters/rewrite.ts";
import { spelt } from "../../../providers/parameters/spelling.ts";
import { parametersOf } from "../../../providers/parameters/typed.ts";
import { quoteIdent } from "../../../providers/planner/twin/names.ts";
import type { Catalogue, Read, TableName } from "../../../providers/planner/twin/twin.ts";
import { namesSystem, parseStatement, tablesOf } from "./tree.ts";

/** One statement of the workload. */
export interface Statement {
  sql: string;
  /** Times it ran; its cost counts so often. */
  calls: number;
  /** Rows it gave or changed in all, where known. */
  rows: number | null;
  queryid: string | null;
}

export interface Workload {
  source: "given" | "pg_stat_statements";
  statements: Statement[];
  /** Statements whose text the role may not see. */
  hidden: number;
  /** The number of statements whose text can't be read here, and the reason; null when there are none. */
  unread: { count: number; message: string; hint: string } | null;
}

/** Statements looked at beyond those that are wanted, for the sake of our own among them. */
const SPARE = 200;

const EXTENSION = `SELECT n.nspname AS schema, has_schema_privilege(n.oid, 'USAGE') AS usable, current_user::text AS role FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'`;

const NOT_THERE = `Put pg_stat_statements into shared_preload_libraries, restart the server, run CREATE EXTENSION pg_stat_statements, and let the application work for a while; or give the statements.`;

/**
 * The statements that took most time in this database, from pg_stat_statements of 13 to 18.
 * @throws PgdbaError unsupported where it is not installed or not loaded
 */
export async function readWorkload(
  read: Read,
  texts: (schema: string, ids: string[]) => Promise<Texts>,
  options: { limit: number; queryid: string | null },
): Promise<Workload> {
  const [extension] = await read(EXTENSION);
  if (extension === undefined)
    throw new PgdbaError(
      "unsupported",
      "There is no workload to look at: this database has no pg_stat_statements",
      { hint: NOT_THERE },
    );
  const schema = quoteIdent(String(extension["schema"]));
  if (extension["usable"] === false)
    throw new PgdbaError(
      "insufficient_privilege",
      `${String(extension["role"])} may not use the schema ${String(extension["schema"])} that pg_stat_statements is in`,
      {
        hint: `As its owner: GRANT USAGE ON SCHEMA ${schema} TO ${quoteIdent(String(extension["role"]))};`,
      },
    );
  // Without the texts, one of which may not be valid here.
  const rows = await read(
    `SELECT min(s.dbid || '/' || s.queryid) AS id, s.queryid::text AS queryid, sum(s.calls)::float8 AS calls, sum(s.rows)::float8 AS rows, sum(s.total_exec_time) AS time, count(*)::int AS entries
     FROM ${schema}.pg_stat_statements(false) s JOIN pg_database d ON d.oid = s.dbid
     WHERE d.datname = current_database() AND ($1::text IS NULL OR s.queryid::text = $1)
     GROUP BY s.queryid ORDER BY time DESC NULLS LAST LIMIT $2`,
    [options.queryid, options.limit + SPARE],
  );
  const seen = rows.filter((row) => row["queryid"] !== null);
  const { found, trouble } = await texts(
    schema,
    seen.map((row) => String(row["id"])),
  );
  const readable = seen.flatMap((row) => {
    const text = found.get(String(row["id"]));
    return text === undefined || text.query.includes(MARK) ? [] : [{ row, sql: text.query }];
  });
  if (trouble !== null && readable.length === 0) {
    throw new PgdbaError(
      "step_failed",
      `No statement of the workload can be read: ${trouble.message}`,
      { hint: trouble.hint },
    );
  }
  return {
    source: "pg_stat_statements",
    hidden: rows
      .filter((row) => row["queryid"] === null)
      .reduce((sum, row) => sum + Number(row["entries"]), 0),
    unread:
      trouble === null
        ? null
        : { count: seen.filter((row) => !found.has(String(row["id"]))).length, ...trouble },
    statements: readable.slice(0, options.limit).map(({ row, sql }) => ({
      sql,
      calls: Number(row["calls"]),
      rows: Number(row["rows"]),
      queryid: String(row["queryid"]),
    })),
  };
}

/** A statement that was parsed. */
export interface Parsed extends Statement {
  tree: NonNullable<Awaited<ReturnType<typeof parseStatement>>>;
  tables: TableName[];
}

/** A statement that the answer says nothing about. */
export interface Refused {
  sql: string;
  reason: string;
  /** The character of `sql` that the reason is about, from 1. */
  position?: number | null;
  hint?: string | null;
}

/** A statement that can't be read or planned, and what would help. */
export function refusedBy(sql: string, error: PgdbaError): Refused {
  const unknown = parametersOf(error);
  return {
    sql,
    reason: error.message,
    position: positionOf(error),
    hint:
      unknown === null
        ? error.code === "timeout"
          ? (error.hint ?? null)
          : null
        : `What ${unknown} was is not known, and no usual type fits. If what the reason names is there, give it with its values, in a file of statements: --workload FILE.`,
  };
}

/** Gives the answer that `UNPROVEN_OUTPUT` describes. */
export function unprovenOf(refused: readonly Refused[]) {
  return refused.map(({ sql, reason, position = null, hint = null }) => ({
    sql,
    reason,
    position,
    hint,
  }));
}

/** Commands that run a query whose plan only they know, and statements that have a plan. Comments may stand before. */
const BEFORE = String.raw`^(?:\s|\(|/\*.*?\*/|--[^\n]*\n)*`;
const FILLED = String.raw`create\s+((global|local|temp|temporary|unlogged)\s+)*(table|materialized\s+view)\s.*\sas\s`;
const HOLDS_QUERY = new RegExp(`${BEFORE}(${FILLED}|copy\\s*\\(|declare\\s)`, "is");
const PLANNED = new RegExp(
  `${BEFORE}(select|with|insert|update|delete|merge|values|table)\\b`,
  "is",
);

const NO_PLAN = "a command that has no plan";
const NO_TABLE = "it reads no table";
export const SYSTEM_ONLY = "it reads the system's own tables only";

/** Parses a workload. For some statements there is nothing to advise, by what they are; those that can't be parsed are given back. */
export async function parseWorkload(
  statements: readonly Statement[],
): Promise<{ parsed: Parsed[]; refused: Refused[]; idle: Refused[] }> {
  const parsed: Parsed[] = [];
  const refused: Refused[] = [];
  const idle: Refused[] = [];
  for (const statement of statements) {
    try {
      const tree = await parseStatement(statement.sql).catch((error: unknown) =>
        parseSpelt(statement.sql, error),
      );
      const tables = tree === null ? [] : tablesOf(tree);
      const { sql } = statement;
      if (tree === null && HOLDS_QUERY.test(sql))
        refused.push({
          sql,
          reason: "it is part of another command: give the query alone",
        });
      else if (tree === null) idle.push({ sql, reason: NO_PLAN });
      else if (tables.length > 0) parsed.push({ ...statement, tree, tables });
      else idle.push({ sql, reason: namesSystem(tree) ? SYSTEM_ONLY : NO_TABLE });
    } catch (error) {
      // A statement without a plan need not be understood: DEALLOCATE $1.
      if (PLANNED.test(statement.sql) === false) idle.push({ sql: statement.sql, reason: NO_PLAN });
      else if (error instanceof PgdbaError) refused.push(refusedBy(statement.sql, error));
      else throw error;
    }
  }
  return { parsed, refused, idle };
}

/** The version whose grammar is asked. */
const GRAMMAR = 18;

/** pg_stat_statements writes typed literals in a way that the grammar refuses. */
async function parseSpelt(sql: string, error: unknown): ReturnType<typeof parseStatement> {
  const rewritten = await spelt(sql, GRAMMAR);
  if (rewritten.text === sql) throw error;
  return parseStatement(rewritten.text).catch((again: unknown) => {
    throw inOrigin(again, rewritten, sql);
  });
}

const ACTIVITY = `SELECT relid, n_tup_ins::float8 AS inserts, n_tup_upd::float8 AS updates, n_tup_hot_upd::float8 AS hot_updates, n_tup_del::float8 AS deletes
  FROM pg_stat_user_tables WHERE relid = ANY ($1::oid[])`;
const SCANS = `SELECT indexrelid AS oid, idx_scan::float8 AS scans FROM pg_stat_user_indexes WHERE relid = ANY ($1::oid[])`;
const SINCE = `SELECT extract(epoch FROM now() - coalesce(d.stats_reset, pg_postmaster_start_time()))::float8 / 86400 AS days FROM pg_stat_database d WHERE d.datname = current_database()`;

export interface Activity {
  tables: Map<number, { inserts: number; updates: number; hot_updates: number; deletes: number }>;
  /** Scans by index since the statistics began. */
  scans: Map<number, number>;
  days: number | null;
}

/** Reads what the server has counted for the catalogue's tables and indexes. */
export async function readActivity(read: Read, catalogue: Catalogue): Promise<Activity> {
  const oids = catalogue.relations.map((relation) => relation.oid);
  const number = (row: JsonObject, name: string): number => Number(row[name] ?? 0);
  const tables = await read(ACTIVITY, [oids]);
  const scans = await read(SCANS, [oids]);
  const [since] = await read(SINCE);
  return {
    tables: new Map(
      tables.map((row) => [
        number(row, "relid"),
        {
          inserts: number(row, "inserts"),
          updates: number(row, "updates"),
          hot_updates: number(row, "hot_updates"),
          deletes: number(row, "deletes"),
        },
      ]),
    ),
    scans: new Map(scans.map((row) => [number(row, "oid"), number(row, "scans")])),
    days: since === undefined || since["days"] === null ? null : Number(since["days"]),
  };
}
