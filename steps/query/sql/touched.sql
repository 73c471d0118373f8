-- What acts when rows of these tables are changed: $1 schemas, $2 names, $3 the words INSERT, UPDATE and DELETE of what is done.
WITH touched AS (
  SELECT c.oid, c.relname FROM unnest($1::text[], $2::text[]) AS t (schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = t.schema JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.name
)
SELECT (SELECT coalesce(pg_catalog.json_agg(DISTINCT pg_catalog.format('%I of %I: %I.%I()', g.tgname, x.relname, n.nspname, p.proname)), '[]')
    FROM touched x JOIN pg_catalog.pg_trigger g ON g.tgrelid = x.oid
    JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE NOT g.tgisinternal AND g.tgparentid = 0
      AND CASE pg_catalog.current_setting('session_replication_role') WHEN 'replica' THEN g.tgenabled IN ('R', 'A') ELSE g.tgenabled IN ('O', 'A') END
      AND ('INSERT' = ANY ($3::text[]) AND g.tgtype & 4 <> 0 OR 'DELETE' = ANY ($3::text[]) AND g.tgtype & 8 <> 0
        OR 'UPDATE' = ANY ($3::text[]) AND g.tgtype & 16 <> 0)) AS triggers,
  (SELECT coalesce(pg_catalog.json_agg(DISTINCT pg_catalog.format('%I.%I (%I): %s', n.nspname, c.relname, f.conname,
      CASE a.act WHEN 'c' THEN a.word WHEN 'n' THEN 'SET NULL' ELSE 'SET DEFAULT' END)), '[]')
    FROM touched x JOIN pg_catalog.pg_constraint f ON f.confrelid = x.oid AND f.contype = 'f' AND f.conparentid = 0
    JOIN pg_catalog.pg_class c ON c.oid = f.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (VALUES ('DELETE', f.confdeltype), ('UPDATE', f.confupdtype)) AS a (word, act)
    WHERE a.word = ANY ($3::text[]) AND a.act IN ('c', 'n', 'd')) AS cascades
