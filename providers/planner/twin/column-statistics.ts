import type { Client } from "pg";
import type { ColumnStatistics } from "./catalogue.ts";

/**
 * The operator (strategy 1 `<`, 3 `=`) that ANALYZE takes for a type, as typcache.c finds it: of the type's default B-tree operator
 * class, or that of what it is binary coercible to, or of its kind.
 */
const OPERATOR = `CREATE OR REPLACE FUNCTION pg_temp.operator_of(type oid, strategy int) RETURNS oid LANGUAGE sql STABLE AS $$
  SELECT o.amopopr FROM pg_catalog.pg_type t JOIN pg_catalog.pg_opclass c ON c.opcmethod = 403 AND c.opcdefault
  JOIN pg_catalog.pg_amop o ON o.amopfamily = c.opcfamily AND o.amoplefttype = c.opcintype AND o.amoprighttype = c.opcintype
  LEFT JOIN pg_catalog.pg_cast x ON x.castsource = t.oid AND x.casttarget = c.opcintype AND x.castmethod = 'b' AND x.castcontext = 'i'
  CROSS JOIN LATERAL (SELECT CASE WHEN t.typtype = 'e' THEN 'anyenum' WHEN t.typtype = 'r' THEN 'anyrange' WHEN t.typtype = 'm' THEN 'anymultirange'
    WHEN t.typtype = 'c' THEN 'record' WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'anyarray' END AS name) k
  LEFT JOIN pg_catalog.pg_type kind ON kind.typname = k.name AND kind.typnamespace = 'pg_catalog'::regnamespace
  WHERE t.oid = $1 AND o.amopstrategy = $2 AND (c.opcintype = t.oid OR x.oid IS NOT NULL OR c.opcintype = kind.oid)
  ORDER BY c.opcintype = t.oid DESC, x.oid IS NOT NULL DESC, c.opcintype LIMIT 1 $$`;

const GIVEN = `SELECT s.*, a.attrelid, a.attnum, a.attcollation AS coll, a.atttypid AS type, a.atttypmod AS typmod, b.typtype,
    pg_temp.operator_of(b.oid, 1) AS lt, pg_temp.operator_of(b.oid, 3) AS eq, e.oid AS element, pg_temp.operator_of(e.oid, 3) AS element_eq
  FROM jsonb_to_recordset($1::text::jsonb) AS s(schemaname text, tablename text, attname text, inherited boolean, null_frac real, avg_width int,
    n_distinct real, most_common_vals text, most_common_freqs text, histogram_bounds text, correlation real, most_common_elems text,
    most_common_elem_freqs text, elem_count_histogram text, range_length_histogram text, range_empty_frac real, range_bounds_histogram text)
  JOIN pg_attribute a ON a.attrelid = to_regclass(format('%I.%I', s.schemaname, s.tablename)) AND a.attname = s.attname
  CROSS JOIN LATERAL (WITH RECURSIVE d(oid, level) AS (
      SELECT a.atttypid, 0 UNION ALL SELECT t.typbasetype, d.level + 1 FROM d JOIN pg_type t ON t.oid = d.oid WHERE t.typtype = 'd')
    SELECT t.oid, t.typtype, t.typelem, t.typlen FROM d JOIN pg_type t ON t.oid = d.oid ORDER BY d.level DESC LIMIT 1) b
  CROSS JOIN LATERAL (SELECT CASE WHEN b.oid = 'tsvector'::regtype THEN 'text'::regtype::oid WHEN b.typlen = -1 THEN b.typelem ELSE 0 END AS oid) e`;

/** Only values of types that have an order; for types that the cloned database defines itself, only where the twin has them. */
const VALUES = `SELECT g.*, CASE WHEN g.most_common_freqs IS NOT NULL THEN g.most_common_vals END AS mcv,
    CASE WHEN g.lt IS NOT NULL THEN g.histogram_bounds END AS bounds,
    CASE WHEN g.element <> 0 THEN g.most_common_elems END AS elements, CASE WHEN g.typtype IN ('r', 'm') THEN g.range_bounds_histogram END AS ranges
  FROM given g`;

/** pg_statistic.h: kinds 1 most common values, 2 histogram, 3 correlation, 4 most common elements, 5 their count, 6 lengths of ranges, 7 bounds of ranges. */
const COLUMNS = `WITH given AS MATERIALIZED (${GIVEN}), v AS (${VALUES}),
  done AS (INSERT INTO pg_statistic (starelid, staattnum, stainherit, stanullfrac, stawidth, stadistinct,
      stakind1, stakind2, stakind3, stakind4, stakind5, staop1, staop2, staop3, staop4, staop5, stacoll1, stacoll2, stacoll3, stacoll4, stacoll5,
      stanumbers1, stanumbers3, stanumbers4, stanumbers5, stavalues1, stavalues2, stavalues4, stavalues5)
    SELECT attrelid, attnum, inherited, null_frac, avg_width, n_distinct,
      CASE WHEN mcv IS NULL THEN 0 ELSE 1 END, CASE WHEN bounds IS NULL THEN 0 ELSE 2 END, CASE WHEN correlation IS NULL OR lt IS NULL THEN 0 ELSE 3 END,
      CASE WHEN elements IS NOT NULL THEN 4 WHEN ranges IS NOT NULL THEN 7 ELSE 0 END,
      CASE WHEN element <> 0 AND elem_count_histogram IS NOT NULL THEN 5 WHEN range_length_histogram IS NOT NULL THEN 6 ELSE 0 END,
      coalesce(eq, 0), coalesce(lt, 0), coalesce(lt, 0), CASE WHEN elements IS NULL THEN 0 ELSE coalesce(element_eq, 0) END,
      CASE WHEN elem_count_histogram IS NOT NULL THEN coalesce(element_eq, 0) WHEN range_length_histogram IS NOT NULL THEN '<(float8,float8)'::regoperator ELSE 0 END,
      coll, coll, coll, CASE WHEN elements IS NULL THEN 0 ELSE coll END, CASE WHEN elem_count_histogram IS NULL THEN 0 ELSE coll END,
      most_common_freqs::real[], CASE WHEN correlation IS NOT NULL THEN ARRAY[correlation] END, most_common_elem_freqs::real[],
      CASE WHEN elem_count_histogram IS NOT NULL THEN elem_count_histogram::real[] WHEN range_length_histogram IS NOT NULL THEN ARRAY[range_empty_frac] END,
      array_in(textout(mcv), type, typmod), array_in(textout(bounds), type, typmod),
      array_in(textout(coalesce(elements, ranges)), CASE WHEN elements IS NULL THEN type ELSE element END, -1),
      array_in(textout(range_length_histogram), 'float8'::regtype, -1)
    FROM v RETURNING starelid)
  SELECT count(*) FROM done`;

/** Rows sent at once. */
const BATCH = 200;

/**
 * Writes statistics of columns as ANALYZE would, into a server before 18, which has no function for that. Domains must not have
 * their checks yet: they would be run.
 * @param admin a superuser's
 * @returns the columns whose statistics the server refused
 */
export async function writeColumns(
  admin: Client,
  statistics: readonly ColumnStatistics[],
): Promise<Refusal[]> {
  await admin.query(OPERATOR);
  const refused: Refusal[] = [];
  for (let at = 0; at < statistics.length; at += BATCH) {
    const rows = statistics.slice(at, at + BATCH);
    if (await isWritten(admin, rows)) continue;
    for (const row of rows)
      if (!(await isWritten(admin, [row])))
        refused.push({ schema: row.schemaname, name: `${row.tablename}.${row.attname}` });
  }
  return refused;
}

async function isWritten(admin: Client, rows: readonly ColumnStatistics[]): Promise<boolean> {
  return admin.query(COLUMNS, [JSON.stringify(rows)]).then(
    () => true,
    () => false,
  );
}

export interface Refusal {
  schema: string;
  name: string;
}
