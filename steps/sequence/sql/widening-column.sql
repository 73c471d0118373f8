-- What a column has beside its type, and how far its successor is.
SELECT nullif((to_jsonb(a) ->> 'attstattarget')::int, -1) AS statistics,
  (SELECT string_agg(format('%I = %L', o.option_name, o.option_value), ', ') FROM pg_options_to_table(a.attoptions) o) AS options,
  col_description(a.attrelid, a.attnum) AS comment,
  (SELECT k.conname FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]) AS not_null_name,
  w.attnum IS NOT NULL AS added,
  coalesce((SELECT t.tgenabled = 'A' FROM pg_trigger t WHERE t.tgrelid = a.attrelid AND t.tgname = 'zzzz_pgdba_wide_' || a.attnum), false) AS kept_in_step,
  coalesce((SELECT k.convalidated FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.conname = 'pgdba_wide_same_' || a.attnum), false) AS proven,
  NOT a.attnotnull OR coalesce((SELECT k.convalidated FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.conname = 'pgdba_wide_set_' || a.attnum), false) AS not_null_proven,
  coalesce((SELECT json_agg(json_build_object('schema', n.nspname, 'name', q.relname, 'identity', d.deptype = 'i'))
            FROM pg_depend d JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S' JOIN pg_namespace n ON n.oid = q.relnamespace
            WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
              AND d.deptype IN ('a', 'i')), '[]') AS owned
FROM pg_attribute a LEFT JOIN pg_attribute w ON w.attrelid = a.attrelid AND w.attname = 'pgdba_wide_' || a.attnum AND NOT w.attisdropped
WHERE a.attrelid = $1 AND a.attnum = $2
