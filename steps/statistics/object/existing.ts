import type { PgSession } from "../../../providers/postgres/session.ts";

/** One statistics object, with all that it takes to make it again. */
export interface Statistics {
  schema: string;
  name: string;
  /** As SQL writes it. */
  shown: string;
  table: string;
  columns: string[];
  /** Of what it says more than of plain columns. */
  expressions: boolean;
  kinds: string[];
  definition: string;
  owner: string;
  /** Null for that of its columns. */
  target: number | null;
  comment: string | null;
}

const OBJECTS = `SELECT n.nspname AS schema, s.stxname AS name, format('%I.%I', n.nspname, s.stxname) AS shown, format('%I.%I', tn.nspname, c.relname) AS table,
  ARRAY(SELECT a.attname::text FROM unnest(s.stxkeys::int2[]) k (num) JOIN pg_attribute a ON a.attrelid = s.stxrelid AND a.attnum = k.num) AS columns,
  'e' = ANY (s.stxkind::text[]) AS expressions,
  ARRAY(SELECT CASE k WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies' ELSE 'mcv' END FROM unnest(s.stxkind::text[]) k WHERE k <> 'e') AS kinds,
  pg_get_statisticsobjdef(s.oid) AS definition, pg_get_userbyid(s.stxowner)::text AS owner, nullif(s.stxstattarget, -1)::int AS target, obj_description(s.oid, 'pg_statistic_ext') AS comment
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace JOIN pg_class c ON c.oid = s.stxrelid JOIN pg_namespace tn ON tn.oid = c.relnamespace`;

const TIMEOUT_MS = 30_000;

/** Those of a table, by their names. */
export async function statisticsOf(
  pg: PgSession,
  schema: string,
  table: string,
): Promise<Statistics[]> {
  const sql = `${OBJECTS} WHERE tn.nspname = $1 AND c.relname = $2 ORDER BY 1, 2`;
  const { rows } = await pg.query(sql, [schema, table], { timeoutMs: TIMEOUT_MS });
  return rows as unknown as Statistics[];
}

/** The one of this name; null for none. */
export async function statisticsNamed(
  pg: PgSession,
  schema: string,
  name: string,
): Promise<Statistics | null> {
  const sql = `${OBJECTS} WHERE n.nspname = $1 AND s.stxname = $2`;
  const { rows } = await pg.query(sql, [schema, name], { timeoutMs: TIMEOUT_MS });
  return (rows[0] as unknown as Statistics | undefined) ?? null;
}
