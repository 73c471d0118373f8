import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { limitsOf } from "./limits.ts";
import type { TableName, Relation, Index, Catalogue } from "./catalogue.ts";

/**
 * Runs one SELECT on the server that is cloned and gives its rows as `PgSession` does. All calls should be made in one READ ONLY
 * transaction: the first sets `search_path` for its rest, so that every name the server prints is qualified.
 */
export type Read = (sql: string, values?: readonly unknown[]) => Promise<JsonObject[]>;

/** Beside the category "Query Tuning": what else changes plans, or what a statement means. */
const MORE_SETTINGS = [
  "work_mem",
  "hash_mem_multiplier",
  "effective_io_concurrency",
  "max_parallel_workers",
  "max_parallel_workers_per_gather",
  "parallel_leader_participation",
  "temp_buffers",
  "search_path",
  "TimeZone",
  "DateStyle",
  "default_text_search_config",
  "transform_null_equals",
  "row_security",
];

const FACTS = `SELECT current_setting('server_version_num')::int AS version_num, current_user::text AS "user",
  current_setting('block_size')::int AS block_size, current_setting('search_path') AS search_path,
  (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'm', 'i'))::int AS relation_count,
  current_database()::text AS database, to_jsonb(d) - 'datacl' AS locale, pg_encoding_to_char(d.encoding) AS encoding
  FROM pg_database d WHERE datname = current_database()`;

const NOT_SYSTEM = `n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'`;

const notOfExtension = (catalog: string, alias: string): string =>
  `NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '${catalog}'::regclass AND e.objid = ${alias}.oid AND e.deptype = 'e')`;

/** As the search path finds them; `to_regclass` would fail for a schema that the role may not use. */
export const NAMED = `SELECT concat_ws('.', x.schema, x.name) AS name,
  (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = x.name AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
    AND CASE WHEN x.schema IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = x.schema END) AS oid
  FROM unnest($1::text[], $2::text[]) AS x(schema, name)`;

/** The partitions and parents of a table `s`, and the tables that a view selects from. */
export const REACHED = `SELECT inhrelid AS oid FROM pg_inherits WHERE inhparent = s.oid
      UNION ALL SELECT inhparent FROM pg_inherits WHERE inhrelid = s.oid
      UNION ALL SELECT d.refobjid FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        WHERE r.ev_class = s.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> s.oid`;

/** The tables asked for, with all that they reach. */
const CLOSURE = `WITH RECURSIVE scope(oid) AS (
    SELECT unnest($1::oid[])
  UNION
    SELECT x.oid FROM scope s CROSS JOIN LATERAL (${REACHED}) x)`;

const RELATION = `c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, c.reltuples, c.relpages, c.relallvisible,
  pg_stat_get_live_tuples(c.oid)::float8 AS live,
  CASE WHEN c.relkind IN ('r', 'm') THEN coalesce(pg_relation_size(c.oid), 0) ELSE 0 END AS bytes,
  (SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'parallel_workers') AS parallel_workers,
  (SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor') AS fillfactor,
  CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition_key,
  pg_get_expr(c.relpartbound, c.oid) AS partition_bound,
  ARRAY(SELECT inhparent FROM pg_inherits WHERE inhrelid = c.oid ORDER BY inhseqno) AS parents,
  CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END AS view,
  has_table_privilege(c.oid, 'SELECT') AS readable, row_security_active(c.oid) AS rls
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`;

const COLUMNS = `SELECT a.attrelid AS relid, a.attnum AS num, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
  a.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
    AND k.conkey = ARRAY[a.attnum]) AS not_null, a.attgenerated::text AS generated, pg_get_expr(d.adbin, d.adrelid) AS default,
  cn.nspname AS collation_schema, co.collname AS collation
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_collation co ON co.oid = a.attcollation AND a.attcollation <> t.typcollation LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
  WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum`;

const CONSTRAINTS = `SELECT oid, conrelid AS relid, conname AS name, contype::text AS type, pg_get_constraintdef(oid) AS definition,
  conparentid AS parent, convalidated AS valid, conindid AS index, conkey AS columns, confrelid AS references
  FROM pg_constraint WHERE conrelid = ANY ($1::oid[]) AND contype IN ('p', 'u', 'x', 'c', 'f') ORDER BY oid`;

const INDEXES = `SELECT i.indexrelid AS oid, i.indrelid AS relid, n.nspname AS schema, c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition,
  am.amname AS method, i.indkey::int2[] AS columns, i.indnkeyatts AS key_columns,
  concat_ws(' ', i.indclass::text, i.indcollation::text, i.indoption::text) AS classes,
  (SELECT bool_and(o.opcdefault AND k.option = 0 AND (k.key = 0 OR k.coll IN (0, a.attcollation)))
    FROM unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[], i.indoption::int2[]) WITH ORDINALITY AS k(key, class, coll, option, nth)
    JOIN pg_opclass o ON o.oid = k.class LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.key WHERE k.nth <= i.indnkeyatts) AS plain,
  pg_get_expr(i.indpred, i.indrelid) AS predicate, pg_get_expr(i.indexprs, i.indrelid) AS expressions,
  i.indisunique AS unique, i.indisprimary AS primary, i.indisvalid AS valid, i.indisreplident AS replica_identity,
  coalesce((SELECT inhparent FROM pg_inherits WHERE inhrelid = i.indexrelid LIMIT 1), 0) AS parent,
  c.reltuples, c.relpages, c.relkind = 'I' AS partitioned,
  CASE WHEN c.relkind = 'i' THEN coalesce(pg_relation_size(c.oid), 0) ELSE 0 END AS bytes
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am am ON am.oid = c.relam
  WHERE i.indrelid = ANY ($1::oid[]) ORDER BY i.indexrelid`;

const STATISTICS = `schemaname, tablename, attname, inherited, null_frac, avg_width, n_distinct, most_common_vals::text AS most_common_vals,
  most_common_freqs::text AS most_common_freqs, histogram_bounds::text AS histogram_bounds, correlation, most_common_elems::text AS most_common_elems,
  most_common_elem_freqs::text AS most_common_elem_freqs, elem_count_histogram::text AS elem_count_histogram`;
/** From 17 on pg_stats shows those of range types as well. */
const RANGE_STATISTICS = `, range_length_histogram::text AS range_length_histogram, range_empty_frac, range_bounds_histogram::text AS range_bounds_histogram`;
/** The view is a security barrier: only comparisons that leak nothing reach below it, and a subquery is none. */
const OF_TABLES = `FROM pg_stats WHERE schemaname = ANY ($1::name[]) AND tablename = ANY ($2::name[])
  AND (schemaname, tablename) IN (SELECT * FROM unnest($1::name[], $2::name[]))`;

const TYPES = `SELECT n.nspname AS schema, t.typname AS name,
  CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite' ELSE 'range' END AS kind,
  ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder) AS labels,
  CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) WHEN 'r' THEN format_type(r.rngsubtype, NULL)
    WHEN 'c' THEN (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
      FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) END AS base,
  t.typnotnull AS not_null,
  ARRAY(SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contypid = t.oid AND contype = 'c') AS checks
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid LEFT JOIN pg_range r ON r.rngtypid = t.oid
  WHERE (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND c.relkind = 'c') AND ${NOT_SYSTEM} AND ${notOfExtension("pg_type", "t")} ORDER BY t.oid`;

/** Indexes, checks and statements may call them; languages other than these can't be had without code from elsewhere. */
const FUNCTIONS = `SELECT format('%I.%I', n.nspname, p.proname) AS name, pg_get_functiondef(p.oid) AS definition
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
  WHERE p.prokind = 'f' AND l.lanname IN ('sql', 'plpgsql') AND ${NOT_SYSTEM} AND ${notOfExtension("pg_proc", "p")} ORDER BY p.oid LIMIT 20000`;

const EXTENSIONS = `SELECT e.extname AS name, n.nspname AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'`;

const COLLATIONS = `SELECT n.nspname AS schema, to_jsonb(c) AS row FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
  WHERE ${NOT_SYSTEM} AND ${notOfExtension("pg_collation", "c")}`;

const SEQUENCES = `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'S' AND n.nspname = ANY ($1::name[])`;

/** Keys of \`n_distinct\` are lists of attribute numbers, negative ones for expressions; values as in pg_stats. */
const COMBINATIONS = `SELECT s.stxrelid AS relid, string_to_array(d.key, ', ')::int[] AS columns, d.value::float8 AS distinct
  FROM pg_stats_ext e JOIN pg_namespace n ON n.nspname = e.statistics_schemaname JOIN pg_statistic_ext s ON s.stxnamespace = n.oid AND s.stxname = e.statistics_name
  CROSS JOIN LATERAL json_each_text(e.n_distinct::text::json) d WHERE s.stxrelid = ANY ($1::oid[]) AND e.n_distinct IS NOT NULL`;

const EXTENDED = `SELECT format('%I.%I', n.nspname, s.stxname) AS name FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
  WHERE s.stxrelid = ANY ($1::oid[])`;

/** The facts of the database itself: enough to start a twin while the rest is read. */
export type Facts = Pick<
  Catalogue,
  "version_num" | "user" | "database" | "block_size" | "locale" | "search_path" | "relation_count"
>;

export async function readFacts(read: Read): Promise<Facts> {
  const [facts] = await read(FACTS);
  if (facts === undefined)
    throw new PgdbaError("internal", "The server does not know its own database");
  return facts as unknown as Facts;
}

/** Objects that are not cloned: aggregates and operators of users, costs that a tablespace has of its own (`own`). */
const MORE = `SELECT p.oid::regprocedure::text AS name, false AS own FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prokind = 'a' AND ${NOT_SYSTEM} AND ${notOfExtension("pg_proc", "p")}
  UNION ALL SELECT o.oid::regoperator::text, false FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
    WHERE ${NOT_SYSTEM} AND ${notOfExtension("pg_operator", "o")}
  UNION ALL SELECT 'tablespace ' || spcname, true FROM pg_tablespace WHERE spcoptions::text ~ 'page_cost' LIMIT 100`;

/**
 * Reads all that the twin needs, by SELECT on the system catalogues only. `tables` narrows it to
 * those, their partitions and parents, and what views among them select from; without it every table of the database is read.
 * What the role may not see is in `limits`, with the GRANT that shows it.
 * @throws PgdbaError whatever `read` throws
 */
export async function readCatalogue(
  read: Read,
  tables?: readonly TableName[],
  known?: Facts,
): Promise<Catalogue> {
  const facts = known ?? (await readFacts(read));
  const settings = await read(
    `SELECT name, current_setting(name) AS value FROM pg_settings WHERE category LIKE 'Query Tuning%' OR name = ANY ($1::text[])`,
    [MORE_SETTINGS],
  );
  const asked =
    tables === undefined
      ? null
      : await read(NAMED, [tables.map((table) => table.schema), tables.map((table) => table.name)]);
  await read("SELECT set_config('search_path', 'pg_catalog', true)");
  const kinds = `c.relkind IN ('r', 'p', 'm', 'v', 'f') AND c.relpersistence <> 't' AND ${NOT_SYSTEM} AND ${notOfExtension("pg_class", "c")} ORDER BY c.oid`;
  const relations = (asked === null
    ? await read(`SELECT ${RELATION} WHERE ${kinds}`)
    : await read(`${CLOSURE} SELECT ${RELATION} JOIN scope ON scope.oid = c.oid WHERE ${kinds}`, [
        asked.map((row) => row["oid"]).filter((oid) => oid !== null),
      ])) as unknown as Relation[];
  const oids = relations.map((relation) => relation.oid);
  const columns = await read(COLUMNS, [oids]);
  const constraints = await read(CONSTRAINTS, [oids]);
  const indexes = (await read(INDEXES, [oids])) as unknown as Index[];
  const named = [...relations, ...indexes.filter((index) => index.expressions !== null)];
  const range = facts.version_num >= 170_000 ? RANGE_STATISTICS : "";
  const statistics = await read(`SELECT ${STATISTICS}${range} ${OF_TABLES}`, [
    named.map((relation) => relation.schema),
    named.map((relation) => relation.name),
  ]);
  const extended = await read(EXTENDED, [oids]);
  const combinations = extended.length === 0 ? [] : await read(COMBINATIONS, [oids]);
  const more = await read(MORE);
  const schemas = [...new Set(relations.map((relation) => relation.schema))];
  const catalogue = {
    ...facts,
    settings,
    schemas,
    extensions: await read(EXTENSIONS),
    collations: await read(COLLATIONS),
    types: await read(TYPES),
    functions: await read(FUNCTIONS),
    sequences: await read(SEQUENCES, [schemas]),
    relations,
    columns,
    constraints,
    indexes,
    statistics,
    combinations,
  } as unknown as Catalogue;
  return { ...catalogue, limits: limitsOf(catalogue, asked ?? [], extended, more) };
}
