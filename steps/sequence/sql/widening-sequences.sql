-- The sequences that feed the column, or the one of this oid, and the column that a sequence feeds.
WITH fed AS (
  SELECT d.objid AS seqrelid, d.refobjid AS attrelid, d.refobjsubid AS attnum, d.deptype = 'i' AS identity
  FROM pg_depend d
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
  UNION
  SELECT d.refobjid, f.adrelid, f.adnum, false
  FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
  WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n'
  UNION
  -- A name as text is no dependency.
  SELECT to_regclass(t.name)::oid, f.adrelid, f.adnum, false
  FROM pg_attrdef f JOIN pg_class c ON c.oid = f.adrelid AND c.relkind IN ('r', 'p') AND c.oid >= 16384,
    LATERAL (SELECT replace(substring(pg_get_expr(f.adbin, f.adrelid) FROM $$nextval\(\(?'((?:[^']|'')+)'::text$$), $$''$$, $$'$$) AS name) t
  WHERE to_regclass(t.name) IS NOT NULL
), columns AS (
  SELECT f.seqrelid, f.identity, a.attname, a.atttypid, t.attrelid, t.attnum
  FROM fed f JOIN pg_attribute a ON a.attrelid = f.attrelid AND a.attnum = f.attnum JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_attribute t ON t.attname = a.attname AND t.attrelid = CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid ELSE c.oid END
)
SELECT s.seqrelid::bigint::float8 AS oid, n.nspname AS schema, q.relname AS name, format_type(s.seqtypid, NULL) AS type,
  s.seqincrement > 0 AS ascending, pg_has_role(q.relowner, 'USAGE') AS owned, coalesce(bool_or(k.identity), false) AS identity,
  s.seqtypid = 'int8'::regtype AND (s.seqincrement > 0 AND s.seqmax = 9223372036854775807 OR s.seqincrement < 0 AND s.seqmin = -9223372036854775808) AS wide,
  coalesce(json_agg(DISTINCT jsonb_build_object('relid', k.attrelid::bigint, 'attnum', k.attnum)) FILTER (WHERE k.attrelid IS NOT NULL), '[]') AS columns
FROM pg_sequence s JOIN pg_class q ON q.oid = s.seqrelid JOIN pg_namespace n ON n.oid = q.relnamespace LEFT JOIN columns k ON k.seqrelid = s.seqrelid
WHERE s.seqrelid = $1 OR s.seqrelid IN (SELECT k.seqrelid FROM columns k WHERE k.attrelid = $2 AND k.attnum = $3)
GROUP BY s.seqrelid, n.nspname, q.relname, q.relowner, s.seqtypid, s.seqincrement, s.seqmax, s.seqmin
ORDER BY n.nspname, q.relname
