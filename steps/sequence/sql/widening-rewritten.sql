-- The tables that a change of these columns' type writes anew: theirs, with their partitions and with all that inherits from them. $1: tables.
WITH RECURSIVE tree AS (
  SELECT v.relid::oid AS relid FROM unnest($1::bigint[]) AS v(relid)
  UNION
  SELECT h.inhrelid FROM tree t JOIN pg_inherits h ON h.inhparent = t.relid
)
SELECT n.nspname AS schema, c.relname AS "table", pg_total_relation_size(c.oid)::float8 AS bytes
FROM tree t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r'
ORDER BY n.nspname, c.relname
