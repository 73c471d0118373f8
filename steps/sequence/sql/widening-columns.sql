-- A column and all that reference it, directly or through others, with what stands in the way of another type.
-- Of a partitioned table the root stands for its partitions.
WITH RECURSIVE fk AS MATERIALIZED (
  SELECT f.oid, f.conrelid, f.conkey[i] AS conatt, f.confrelid, f.confkey[i] AS confatt
  FROM pg_constraint f CROSS JOIN LATERAL generate_subscripts(f.conkey, 1) AS i
  WHERE f.contype = 'f' AND f.conparentid = 0
), edge AS MATERIALIZED (
  SELECT o.rel AS own, o.att AS own_att, r.rel AS ref, r.att AS ref_att
  FROM fk
    CROSS JOIN LATERAL (
      SELECT t.attrelid AS rel, t.attnum AS att
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_attribute t ON t.attname = a.attname AND t.attrelid = CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid ELSE c.oid END
      WHERE a.attrelid = fk.conrelid AND a.attnum = fk.conatt) o
    CROSS JOIN LATERAL (
      SELECT t.attrelid AS rel, t.attnum AS att
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_attribute t ON t.attname = a.attname AND t.attrelid = CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid ELSE c.oid END
      WHERE a.attrelid = fk.confrelid AND a.attnum = fk.confatt) r
), reached AS (
  SELECT t.attrelid AS rel, t.attnum AS att
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_attribute t ON t.attname = a.attname AND t.attrelid = CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid ELSE c.oid END
  WHERE a.attrelid = $1 AND a.attnum = $2
  UNION
  SELECT e.own, e.own_att FROM edge e JOIN reached r ON e.ref = r.rel AND e.ref_att = r.att
)
SELECT c.oid::bigint::float8 AS relid, n.nspname AS schema, c.relname AS "table", c.relkind::text AS kind, a.attname AS name, a.attnum::int AS attnum,
  format_type(a.atttypid, NULL) AS type, a.attnotnull AS not_null, a.attidentity::text AS identity,
  (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = c.oid AND d.adnum = a.attnum) AS default_expr,
  (SELECT coalesce(sum(pg_total_relation_size(p.relid)), 0)::float8
   FROM (SELECT c.oid AS relid WHERE c.relkind <> 'p' UNION ALL SELECT t.relid FROM pg_partition_tree(c.oid) t WHERE c.relkind = 'p' AND t.isleaf) p) AS bytes,
  CASE WHEN c.relkind = 'p'
       THEN (SELECT coalesce(sum(CASE WHEN x.reltuples > 0 THEN x.reltuples ELSE pg_stat_get_live_tuples(x.oid) END), 0) FROM pg_partition_tree(c.oid) t JOIN pg_class x ON x.oid = t.relid WHERE t.isleaf)
       WHEN c.reltuples > 0 THEN c.reltuples ELSE pg_stat_get_live_tuples(c.oid) END::float8 AS rows,
  pg_has_role(c.relowner, 'USAGE') AS owned,
  EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid OR h.inhparent = c.oid) AS inherits,
  (n.nspname, c.relname) IN (SELECT p.schemaname, p.tablename FROM pg_publication_tables p) AS published,
  coalesce((
    SELECT json_agg(DISTINCT v.what)
    FROM (
      SELECT CASE d.classid WHEN 'pg_rewrite'::regclass
                            THEN (SELECT CASE w.ev_class::regclass::text WHEN c.oid::regclass::text THEN 'the rule ' || w.rulename ELSE w.ev_class::regclass::text END
                                  FROM pg_rewrite w WHERE w.oid = d.objid)
                            ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END AS what
      FROM pg_depend d LEFT JOIN pg_attribute g ON d.classid = 'pg_attrdef'::regclass AND g.attrelid = c.oid
                                                AND g.attnum = (SELECT f.adnum FROM pg_attrdef f WHERE f.oid = d.objid)
      WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
        -- Views are looked for by themselves: plain ones are made again.
        AND NOT (d.classid = 'pg_rewrite'::regclass AND EXISTS (SELECT FROM pg_rewrite w JOIN pg_class x ON x.oid = w.ev_class WHERE w.oid = d.objid AND x.relkind IN ('v', 'm')))
        AND (d.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_publication_rel'::regclass) OR g.attgenerated <> '')
      UNION ALL
      SELECT 'the partition key of ' || p.partrelid::regclass FROM pg_partitioned_table p
      WHERE p.partrelid IN (SELECT t.relid FROM pg_partition_tree(c.oid) t) AND EXISTS (
        SELECT FROM pg_attribute k WHERE k.attrelid = p.partrelid AND k.attname = a.attname AND k.attnum = ANY (p.partattrs::int2[]))
      UNION ALL
      SELECT format('the column %s.%I, which is of the type of its rows', u.attrelid::regclass, u.attname)
      -- By what depends on the type, which has an index: columns have none by their type, and there may be thousands of tables.
      FROM pg_depend t JOIN pg_attribute u ON u.attrelid = t.objid AND u.attnum = t.objsubid JOIN pg_class uc ON uc.oid = u.attrelid
      WHERE t.refclassid = 'pg_type'::regclass AND t.refobjid = c.reltype AND t.classid = 'pg_class'::regclass AND t.objsubid > 0
        AND u.atttypid = c.reltype AND uc.relkind IN ('r', 'p', 'm') AND NOT u.attisdropped
      UNION ALL
      SELECT 'the table that it inherits the column from' WHERE a.attinhcount > 0 AND NOT c.relispartition
    ) v), '[]') AS blockers
FROM reached r JOIN pg_class c ON c.oid = r.rel JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = r.rel AND a.attnum = r.att
ORDER BY (c.oid, a.attnum) = ($1::oid, $2::int2) DESC, n.nspname, c.relname, a.attnum
