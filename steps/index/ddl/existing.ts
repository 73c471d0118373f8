import { PgdbaError } from "../../../engine/errors.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";

/** An index of the server. */
export interface Existing {
  schema: string;
  name: string;
  /** The table it is on, as schema.table. */
  table: string;
  valid: boolean;
  definition: string;
  bytes: number;
  scans: number | null;
  unique: boolean;
  /** The constraint it belongs to. */
  constraint: string | null;
  replica_identity: boolean;
  partitioned: boolean;
  /** The partitioned index it is a part of. */
  parent: string | null;
  /** A session that builds it now. */
  builder: number | null;
}

const INDEX = `SELECT n.nspname AS schema, c.relname AS name, format('%s.%s', tn.nspname, t.relname) AS table, i.indisvalid AND i.indisready AS valid,
  pg_get_indexdef(c.oid) AS definition, coalesce(pg_relation_size(c.oid), 0)::float8 AS bytes, s.idx_scan::float8 AS scans, i.indisunique AS unique,
  (SELECT conname FROM pg_constraint WHERE conindid = c.oid AND contype IN ('p', 'u', 'x') LIMIT 1) AS constraint, i.indisreplident AS replica_identity,
  c.relkind = 'I' AS partitioned, (SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = c.oid LIMIT 1) AS parent,
  (SELECT pid FROM pg_stat_progress_create_index WHERE index_relid = c.oid LIMIT 1) AS builder
  FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = c.oid
  WHERE c.relname = $2 AND CASE WHEN $1::text IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = $1 END`;

/** No read of the catalogues takes long; one whose table is locked shall not wait for ever. */
const LIMITS = { timeoutMs: 30_000, lockTimeoutMs: 2000 };

/** The index of this name; without a schema the search path decides. @throws PgdbaError timeout where somebody has locked it */
export async function findIndex(
  pg: PgSession,
  schema: string | null,
  name: string,
): Promise<Existing | null> {
  const { rows } = await pg.query(INDEX, [schema, name], LIMITS);
  return (rows[0] as unknown as Existing | undefined) ?? null;
}

/** The schema of a table, which is that of its indexes. @throws PgdbaError step_refused when there is no such table */
export async function tableOf(
  pg: PgSession,
  schema: string | null,
  table: string,
): Promise<{ schema: string; partitioned: boolean }> {
  const { rows } = await pg.query(
    `SELECT n.nspname AS schema, c.relkind = 'p' AS partitioned FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = $2 AND c.relkind IN ('r', 'p', 'm') AND CASE WHEN $1::text IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = $1 END`,
    [schema, table],
    LIMITS,
  );
  const [found] = rows;
  if (found !== undefined)
    return { schema: String(found["schema"]), partitioned: found["partitioned"] === true };
  throw new PgdbaError(
    "step_refused",
    `There is no table ${schema === null ? "" : `${schema}.`}${table} in this database`,
    { hint: "Check the name, and the database (--database)." },
  );
}

/** The kind of object that bears a name without being an index: `table`, `view`, …; null when nothing bears it. */
export async function otherKind(
  pg: PgSession,
  schema: string | null,
  name: string,
): Promise<string | null> {
  const { rows } = await pg.query(
    `SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = $2 AND c.relkind NOT IN ('i', 'I') AND CASE WHEN $1::text IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = $1 END`,
    [schema, name],
    LIMITS,
  );
  return rows[0] === undefined ? null : String(rows[0]["kind"]);
}
