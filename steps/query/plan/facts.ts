import { marked } from "../../../providers/postgres/own.ts";
import type { Run } from "../../../providers/postgres/session.ts";
import type { Facts, RelationFacts } from "./finding.ts";
import { type Plan, walk } from "./tree.ts";

const SETTINGS = `SELECT current_setting('server_version_num')::int AS version_num,
  (SELECT setting::int FROM pg_settings WHERE name = 'work_mem') AS work_mem_kb,
  (SELECT setting::float8 FROM pg_settings WHERE name = 'hash_mem_multiplier') AS hash_mem_multiplier`;

/** pg_stats hides what the role may not read, and all of a table whose rows are hidden from it: that is unknown, not missing. */
const RELATIONS = `SELECT n.nspname AS schema, c.relname AS name, pg_relation_size(c.oid) / current_setting('block_size')::int AS pages,
  c.reltuples::float8 AS rows,
  CASE WHEN current_setting('track_counts')::bool THEN pg_stat_get_mod_since_analyze(c.oid) END AS modified,
  greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) AS analyzed_at,
  CASE WHEN has_table_privilege(c.oid, 'SELECT') AND NOT (c.relrowsecurity AND row_security_active(c.oid))
    THEN EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname) END AS has_statistics,
  coalesce((SELECT json_agg(json_build_object('index', x.relname, 'column', a.attname, 'type', format_type(a.atttypid, a.atttypmod)))
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = c.oid AND i.indisvalid), '[]') AS leading_columns,
  (SELECT json_object_agg(a.attname, format_type(a.atttypid, a.atttypmod)) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS types,
  coalesce((SELECT json_agg(json_build_object('name', x.relname, 'unique', i.indisunique, 'plain', m.amname = 'btree' AND i.indpred IS NULL, 'columns', ARRAY(SELECT a.attname FROM unnest(i.indkey) WITH ORDINALITY k (num, nth)
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num WHERE k.nth <= i.indnkeyatts ORDER BY k.nth)))
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam WHERE i.indrelid = c.oid AND i.indisvalid), '[]') AS indexes,
  coalesce((SELECT json_agg(ARRAY(SELECT a.attname FROM unnest(s.stxkeys::int2[]) k (num) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num))
    FROM pg_statistic_ext s WHERE s.stxrelid = c.oid), '[]') AS statistics,
  (WITH RECURSIVE up (oid, level) AS (SELECT inhparent, 1 FROM pg_inherits WHERE inhrelid = c.oid
      UNION ALL SELECT i.inhparent, level + 1 FROM up JOIN pg_inherits i ON i.inhrelid = up.oid WHERE level < 100)
    SELECT json_build_object('schema', rn.nspname, 'name', r.relname) FROM up JOIN pg_class r ON r.oid = up.oid JOIN pg_namespace rn ON rn.oid = r.relnamespace
    ORDER BY level DESC LIMIT 1) AS root
FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
JOIN pg_namespace n ON n.nspname = wanted.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name`;

/** Reads the facts about the server and the plan's tables that the findings need; two reads of the catalogues. */
export async function readFacts(run: Run, plan: Plan): Promise<Facts> {
  const named = new Map(
    [...walk(plan.root)].flatMap(({ relation }) =>
      relation?.schema ? [[`${relation.schema}.${relation.name}`, relation]] : [],
    ),
  );
  const relations = [...named.values()];
  const settings = await run(marked(SETTINGS));
  const { rows } = await run(marked(RELATIONS), [
    relations.map(({ schema }) => schema),
    relations.map(({ name }) => name),
  ]);
  const { version_num, work_mem_kb, hash_mem_multiplier } = settings.rows[0] as unknown as Facts;
  return {
    version_num,
    work_mem_kb,
    hash_mem_multiplier,
    relations: rows as unknown as RelationFacts[],
  };
}
