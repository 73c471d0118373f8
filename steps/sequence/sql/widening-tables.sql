-- The tables that a change of these columns' type locks: theirs with what inherits, and both sides of foreign keys that are made anew by it.
-- $1 and $2: tables and numbers of the columns. Without those that this user may not lock beforehand.
WITH RECURSIVE own AS (
  SELECT v.relid::oid AS relid, a.attname FROM unnest($1::bigint[], $2::int[]) AS v(relid, attnum)
    JOIN pg_attribute a ON a.attrelid = v.relid::oid AND a.attnum = v.attnum
  UNION
  SELECT h.inhrelid, o.attname FROM own o JOIN pg_inherits h ON h.inhparent = o.relid
), own_column AS MATERIALIZED (
  SELECT o.relid, a.attnum FROM own o JOIN pg_attribute a ON a.attrelid = o.relid AND a.attname = o.attname
), touched AS (
  SELECT relid FROM own
  UNION
  SELECT side.relid
  FROM (
      -- Each by itself, so that thousands of foreign keys are not compared with thousands of columns.
      SELECT f.conrelid, f.confrelid FROM own_column o JOIN pg_constraint f ON f.conrelid = o.relid AND o.attnum = ANY (f.conkey) WHERE f.contype = 'f'
      UNION
      SELECT f.conrelid, f.confrelid FROM own_column o JOIN pg_constraint f ON f.confrelid = o.relid AND o.attnum = ANY (f.confkey) WHERE f.contype = 'f'
      UNION
      SELECT f.conrelid, f.confrelid FROM own_column o JOIN pg_index i ON i.indrelid = o.relid AND o.attnum = ANY (i.indkey::int2[])
        JOIN pg_constraint f ON f.conindid = i.indexrelid WHERE f.contype = 'f'
    ) f CROSS JOIN LATERAL unnest(ARRAY[f.conrelid, f.confrelid]) AS side(relid)
), tree AS (
  SELECT relid FROM touched
  UNION
  SELECT h.inhrelid FROM tree t JOIN pg_inherits h ON h.inhparent = t.relid
)
SELECT n.nspname AS schema, c.relname AS "table"
FROM tree t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')
ORDER BY n.nspname, c.relname
