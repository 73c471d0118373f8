-- The foreign keys that hold one of these columns on either side, or that rely on an index with one. $1 and $2: tables and numbers of the columns.
WITH w AS (
  SELECT v.relid::oid AS relid, v.attnum FROM unnest($1::bigint[], $2::int[]) AS v(relid, attnum)
), touched AS (
  -- Each by itself, so that thousands of foreign keys are not compared with thousands of columns.
  SELECT f.oid FROM w JOIN pg_constraint f ON f.conrelid = w.relid AND w.attnum = ANY (f.conkey)
  UNION
  SELECT f.oid FROM w JOIN pg_constraint f ON f.confrelid = w.relid AND w.attnum = ANY (f.confkey)
  UNION
  SELECT f.oid FROM w JOIN pg_index i ON i.indrelid = w.relid AND w.attnum = ANY (i.indkey::int2[]) JOIN pg_constraint f ON f.conindid = i.indexrelid
)
SELECT f.conrelid::bigint::float8 AS relid, n.nspname AS schema, c.relname AS "table", f.conname AS name,
  rn.nspname AS other_schema, r.relname AS other, f.convalidated AS validated,
  c.relkind = 'p' OR r.relkind = 'p' AS partitioned,
  coalesce(to_jsonb(f) ->> 'conenforced', 'true') = 'false' OR coalesce(to_jsonb(f) ->> 'conperiod', 'false') = 'true' AS special,
  pg_get_constraintdef(f.oid) AS definition, obj_description(f.oid, 'pg_constraint') AS comment
FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class r ON r.oid = f.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
WHERE f.contype = 'f' AND f.conparentid = 0 AND f.oid IN (SELECT t.oid FROM touched t)
ORDER BY n.nspname, c.relname, f.conname
