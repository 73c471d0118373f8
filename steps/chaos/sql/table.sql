SELECT c.oid::int8 AS oid, format('%I.%I', n.nspname, c.relname) AS name, c.relkind::text AS kind, c.relpersistence::text AS persistence,
  pg_relation_filepath(c.oid) AS file, pg_relation_size(c.oid) AS bytes, i.index,
  a.schema AS amcheck, coalesce(a.heapcheck, false) AS heapcheck,
  current_setting('data_checksums') = 'on' AS checksums,
  current_setting('block_size')::int AS block_size,
  (SELECT setting::int8 FROM pg_settings WHERE name = 'segment_size') AS segment_blocks,
  pg_is_in_recovery() AS standby
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
  SELECT json_build_object('oid', x.indexrelid::int8, 'name', format('%I.%I', n.nspname, r.relname),
    -- In the order that the index has: nothing else is read by it.
    'keys', (SELECT string_agg(format('%I', t.attname) || CASE x.indoption[k.n - 1] & 3 WHEN 0 THEN '' WHEN 1 THEN ' DESC NULLS LAST' WHEN 2 THEN ' NULLS FIRST' ELSE ' DESC' END, ', ' ORDER BY k.n)
             FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k(attribute, n)
             JOIN pg_attribute t ON t.attrelid = x.indrelid AND t.attnum = k.attribute
             WHERE k.n <= x.indnkeyatts),
    'file', pg_relation_filepath(r.oid), 'bytes', pg_relation_size(r.oid)) AS index
  FROM pg_index x JOIN pg_class r ON r.oid = x.indexrelid JOIN pg_am m ON m.oid = r.relam
  WHERE x.indrelid = c.oid AND m.amname = 'btree' AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL
    -- Of another order than that of its columns nothing can be asked by their names.
    AND NOT EXISTS (SELECT FROM unnest(x.indclass::oid[]) o JOIN pg_opclass p ON p.oid = o WHERE NOT p.opcdefault)
    AND NOT EXISTS (SELECT FROM unnest(x.indkey::int2[], x.indcollation::oid[]) AS k(attribute, collated)
                    JOIN pg_attribute t ON t.attrelid = x.indrelid AND t.attnum = k.attribute
                    WHERE k.collated <> 0 AND k.collated <> t.attcollation)
  ORDER BY x.indisprimary DESC, x.indisunique DESC, x.indexrelid
  LIMIT 1
) i ON true
LEFT JOIN LATERAL (
  SELECT format('%I', s.nspname) AS schema,
    EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = s.oid AND p.proname = 'verify_heapam') AS heapcheck
  FROM pg_extension e JOIN pg_namespace s ON s.oid = e.extnamespace
  WHERE e.extname = 'amcheck'
) a ON true
WHERE c.oid = to_regclass($1)
