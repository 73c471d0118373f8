-- The valid indexes with one of these columns, as they are to be made on the new ones. The parts of a key are written out, since
-- pg_get_indexdef gives a text in which no name could be told from another.
SELECT i.indexrelid::bigint::float8 AS oid, n.nspname AS schema, x.relname AS name, i.indisunique AS "unique", m.amname AS method,
  (SELECT json_agg(json_build_object(
            'attnum', i.indkey[k.n - 1]::int,
            'text', CASE WHEN i.indkey[k.n - 1] = 0 THEN '(' || pg_get_indexdef(i.indexrelid, k.n, false) || ')'
                         ELSE (SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[k.n - 1]) END,
            'included', k.n > i.indnkeyatts,
            'rest', CASE WHEN k.n > i.indnkeyatts THEN '' ELSE concat(
              (SELECT format(' COLLATE %I.%I', cn.nspname, co.collname) FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace
               WHERE co.oid = i.indcollation[k.n - 1]),
              (SELECT format(' %I.%I', opn.nspname, op.opcname) FROM pg_opclass op JOIN pg_namespace opn ON opn.oid = op.opcnamespace
               WHERE op.oid = i.indclass[k.n - 1])) END,
            'order', CASE WHEN k.n > i.indnkeyatts OR m.amname <> 'btree' THEN ''
                          ELSE CASE WHEN i.indoption[k.n - 1] & 1 = 1 THEN ' DESC' ELSE ' ASC' END
                            || CASE WHEN i.indoption[k.n - 1] & 2 = 2 THEN ' NULLS FIRST' ELSE ' NULLS LAST' END END) ORDER BY k.n)
   FROM generate_series(1, i.indnatts::int) AS k(n)) AS keys,
  coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_not_distinct,
  pg_get_expr(i.indpred, i.indrelid) AS predicate,
  (SELECT string_agg(format('%I = %L', o.option_name, o.option_value), ', ') FROM pg_options_to_table(x.reloptions) o) AS options,
  (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = x.reltablespace) AS tablespace,
  i.indisclustered AS clustered, i.indisreplident AS replica_identity,
  obj_description(i.indexrelid, 'pg_class') AS comment,
  c.conname AS constraint_name, c.contype::text AS constraint_type, obj_description(c.oid, 'pg_constraint') AS constraint_comment,
  b.indisvalid AS built
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace JOIN pg_am m ON m.oid = x.relam
  LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid AND c.contype IN ('p', 'u')
  LEFT JOIN pg_class bx ON bx.relnamespace = x.relnamespace AND bx.relname = 'pgdba_wide_' || i.indexrelid
  LEFT JOIN pg_index b ON b.indexrelid = bx.oid AND b.indrelid = i.indrelid
WHERE i.indrelid = $1 AND i.indkey::int2[]::int[] && $2::int[] AND x.relname !~ '^pgdba_wide_'
ORDER BY x.relname
