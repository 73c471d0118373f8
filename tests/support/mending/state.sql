-- All that a runbook that mends can leave behind in a database and its server, a line for each thing, without what changes by itself.
WITH own AS (
  SELECT n.oid, n.nspname FROM pg_namespace n WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp'
), rel AS (
  SELECT c.*, own.nspname || '.' || c.relname AS name FROM pg_class c JOIN own ON own.oid = c.relnamespace
), lines AS (
  SELECT 'schema ' || nspname || ' ' || n.nspowner::regrole || coalesce(' ' || n.nspacl::text, '') AS line FROM pg_namespace n JOIN own USING (oid, nspname)
  UNION ALL
  SELECT format('relation %s kind %s persistence %s identity %s owner %s options %s toast %s rights %s partition %s filled %s comment %s', r.name, r.relkind, r.relpersistence, r.relreplident,
    r.relowner::regrole, r.reloptions, t.reloptions, (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(r.relacl) a), pg_get_expr(r.relpartbound, r.oid), r.relispopulated, obj_description(r.oid, 'pg_class'))
  FROM rel r LEFT JOIN pg_class t ON t.oid = r.reltoastrelid WHERE r.relkind NOT IN ('i', 'I')
  UNION ALL
  SELECT format('column %s.%s %s %s not null %s default %s identity %s rights %s', r.name, a.attname, row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), a.atttypid::regtype, a.attnotnull,
    pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attacl)
  FROM rel r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
  WHERE r.relkind NOT IN ('i', 'I', 'S')
  UNION ALL
  SELECT format('index %s %s valid %s ready %s live %s identity %s', r.name, pg_get_indexdef(r.oid), i.indisvalid, i.indisready, i.indislive, i.indisreplident) FROM rel r JOIN pg_index i ON i.indexrelid = r.oid
  UNION ALL
  SELECT format('constraint %s on %s %s validated %s', k.conname, coalesce(k.conrelid::regclass::text, k.contypid::regtype::text), pg_get_constraintdef(k.oid), k.convalidated)
  FROM pg_constraint k JOIN own ON own.oid = k.connamespace
  UNION ALL
  SELECT format('trigger %s on %s: %s of them %s', x.name, r.name, count(*), t.tgenabled)
  FROM pg_trigger t JOIN rel r ON r.oid = t.tgrelid LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint
    CROSS JOIN LATERAL (SELECT coalesce(k.conname, t.tgname) AS name) x GROUP BY x.name, r.name, t.tgenabled
  UNION ALL
  SELECT format('sequence %s.%s %s at %s step %s to %s', schemaname, sequencename, data_type, last_value, increment_by, max_value) FROM pg_sequences
  UNION ALL
  SELECT format('function %s', p.oid::regprocedure) FROM pg_proc p JOIN own ON own.oid = p.pronamespace WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
  UNION ALL
  SELECT format('rights on %s %s', p.oid::regprocedure, p.proacl) FROM pg_proc p JOIN own ON own.oid = p.pronamespace WHERE p.proacl IS NOT NULL
  UNION ALL
  SELECT format('extension %s %s', extname, extversion) FROM pg_extension
  UNION ALL
  SELECT format('default rights of %s in %s on %s: %s', defaclrole::regrole, defaclnamespace, defaclobjtype, defaclacl) FROM pg_default_acl
  UNION ALL
  SELECT format('role %s super %s login %s limit %s until %s password %s settings %s', rolname, rolsuper, rolcanlogin, rolconnlimit, coalesce(rolvaliduntil, 'infinity'), rolpassword IS NOT NULL,
    (SELECT array_agg(s.setdatabase || ' ' || s.setconfig::text) FROM pg_db_role_setting s WHERE s.setrole = a.oid)) FROM pg_authid a WHERE rolname !~ '^pg_'
  UNION ALL
  SELECT format('settings of everybody here %s', setconfig) FROM pg_db_role_setting WHERE setrole = 0
  UNION ALL
  SELECT format('membership of %s for %s', roleid::regrole, member::regrole) FROM pg_auth_members WHERE roleid::regrole::text !~ '^pg_'
  UNION ALL
  SELECT format('database %s owner %s limit %s rights %s', datname, datdba::regrole, datconnlimit, datacl) FROM pg_database WHERE datname = current_database()
  UNION ALL
  SELECT format('prepared %s', gid) FROM pg_prepared_xacts
  UNION ALL
  SELECT format('slot %s %s', slot_name, slot_type) FROM pg_replication_slots
  UNION ALL
  SELECT format('subscription %s enabled %s slot %s', subname, subenabled, subslotname) FROM pg_subscription
  UNION ALL
  SELECT format('copied %s %s', srrelid::regclass, srsubstate) FROM pg_subscription_rel
  UNION ALL
  SELECT format('publication %s %s', pubname, puballtables) FROM pg_publication
  UNION ALL
  SELECT format('setting %s %s', name, setting) FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'
  UNION ALL
  SELECT format('client %s', application_name) FROM pg_stat_activity WHERE application_name LIKE 'app%'
  UNION ALL
  SELECT format('rows of %s: %s', r.name, (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) || '' '' || coalesce(sum(hashtext(t::text)), 0) AS n FROM %s t', r.oid::regclass), false, true, '')))[1])
  FROM rel r WHERE r.relkind = 'r' OR r.relkind = 'm' AND r.relispopulated
) SELECT line FROM lines ORDER BY 1
