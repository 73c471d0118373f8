-- What depends on columns and does not follow them to new ones. $1 and $2: tables and numbers of the columns. Foreign keys are found by
-- pg_depend, which has an index for both sides: thousands of tables may reference one.
SELECT DISTINCT w.n, v.what
FROM unnest($1::bigint[], $2::int[]) WITH ORDINALITY AS w(relid, attnum, n)
  JOIN pg_class c ON c.oid = w.relid::oid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = w.attnum, LATERAL (
  SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS what
  FROM pg_depend d LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum AND d.deptype <> 'i'
    AND d.classid NOT IN ('pg_attrdef'::regclass, 'pg_class'::regclass)
    AND coalesce(k.contype, 'x') NOT IN ('p', 'u', 'f', 'n') AND coalesce(k.conname, '') !~ '^pgdba_wide_'
    AND NOT (d.classid = 'pg_trigger'::regclass AND EXISTS (SELECT FROM pg_trigger t WHERE t.oid = d.objid AND t.tgname ~ '^zzzz_pgdba_wide_'))
    -- Views are looked for by themselves: plain ones are made again.
    AND NOT (d.classid = 'pg_rewrite'::regclass AND EXISTS (SELECT FROM pg_rewrite r JOIN pg_class x ON x.oid = r.ev_class WHERE r.oid = d.objid AND x.relkind IN ('v', 'm')))
  UNION ALL
  SELECT 'the index ' || i.indexrelid::regclass || CASE WHEN i.indisvalid THEN ', which is an exclusion' ELSE ', which is not valid' END
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid = c.oid AND x.relname !~ '^pgdba_wide_' AND (i.indisexclusion OR NOT i.indisvalid)
    AND EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
                AND (d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                     OR d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT k.oid FROM pg_constraint k WHERE k.conindid = i.indexrelid)))
  UNION ALL
  SELECT 'the view ' || w.ev_class::regclass || ', which relies on a key with the column'
  FROM pg_constraint k JOIN pg_depend d ON d.refclassid = 'pg_constraint'::regclass AND d.refobjid = k.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite w ON w.oid = d.objid
  WHERE k.conrelid = c.oid AND a.attnum = ANY (k.conkey)
    -- One that reads the column as well is made again.
    AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_rewrite'::regclass AND x.objid = w.oid AND x.refclassid = 'pg_class'::regclass AND x.refobjid = c.oid AND x.refobjsubid = a.attnum)
  UNION ALL
  SELECT 'the security label of the column' FROM pg_seclabel l WHERE l.classoid = 'pg_class'::regclass AND l.objoid = c.oid AND l.objsubid = a.attnum
  UNION ALL
  -- What is granted goes over to the new column and sequence; what another role granted, only by that role.
  SELECT format('the privileges on %s that %s has granted: only that role can grant them again', g.what, x.grantor::regrole)
  FROM (
    SELECT 'the column ' || quote_ident(a.attname) AS what, a.attacl AS acl
    UNION ALL
    SELECT 'the sequence ' || d.objid::regclass, q.relacl
    FROM pg_depend d JOIN pg_class q ON q.oid = d.objid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum AND d.deptype = 'i'
      AND q.relkind = 'S'
  ) g, aclexplode(g.acl) x
  WHERE x.grantor <> c.relowner
    AND NOT (pg_has_role(x.grantor, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
             AND has_schema_privilege(x.grantor, c.relnamespace, 'USAGE'))
  UNION ALL
  SELECT 'the trigger ' || quote_ident(t.tgname) || ', which fires after all others' FROM pg_trigger t
  WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 3 = 3 AND t.tgname::text COLLATE "C" > 'zzzz_pgdba_wide_999'
  UNION ALL
  SELECT 'the index ' || i.indexrelid::regclass || ', with the column in an expression, in its condition or with an operator class of its own'
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid = c.oid AND x.relname !~ '^pgdba_wide_' AND (
    concat(i.indexprs::text, i.indpred::text) ~ (':varattno ' || a.attnum || '\M')
    OR a.attnum = ANY (i.indkey::int2[]) AND (
      EXISTS (SELECT FROM generate_series(0, i.indnkeyatts - 1) AS k JOIN pg_opclass o ON o.oid = i.indclass[k] WHERE i.indkey[k] = a.attnum AND NOT o.opcdefault)
      OR EXISTS (SELECT FROM pg_attribute ia WHERE ia.attrelid = i.indexrelid AND (to_jsonb(ia) ->> 'attoptions') IS NOT NULL)
      OR NOT i.indimmediate))
  UNION ALL
  SELECT format('the foreign key %I of %s, which is of a partitioned table, not enforced, or over a period', f.conname, f.conrelid::regclass)
  FROM pg_depend d JOIN pg_constraint f ON f.oid = d.objid JOIN pg_class fc ON fc.oid = f.conrelid JOIN pg_class fr ON fr.oid = f.confrelid
  WHERE d.classid = 'pg_constraint'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
    AND f.contype = 'f' AND (f.conrelid = c.oid AND a.attnum = ANY (f.conkey) OR f.confrelid = c.oid AND a.attnum = ANY (f.confkey))
    AND (fc.relkind = 'p' OR fr.relkind = 'p' OR fc.relispartition OR fr.relispartition OR to_jsonb(f) ->> 'conenforced' = 'false' OR to_jsonb(f) ->> 'conperiod' = 'true')
  UNION ALL
  SELECT format('the foreign key %I of %s, which relies on an index with the column', f.conname, f.conrelid::regclass)
  FROM pg_index i JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indexrelid
    JOIN pg_constraint f ON f.oid = d.objid AND f.conindid = i.indexrelid
  WHERE f.contype = 'f' AND i.indrelid = c.oid AND a.attnum = ANY (i.indkey::int2[]) AND NOT a.attnum = ANY (f.confkey)
  UNION ALL
  SELECT 'the rule ' || quote_ident(w.rulename) FROM pg_rewrite w WHERE w.ev_class = c.oid
  UNION ALL
  -- A superuser fills with session_replication_role = replica, which these do not fire under.
  SELECT 'the trigger ' || quote_ident(t.tgname) || ', which would fire for each filled row' FROM pg_trigger t
  WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 16 = 16 AND t.tgattr::text = '' AND t.tgname !~ '^zzzz_pgdba_wide_'
    AND (t.tgenabled IN ('A', 'R') OR t.tgenabled = 'O' AND current_setting('is_superuser') <> 'on')
  UNION ALL
  SELECT 'row security that hides rows from their owner' WHERE c.relforcerowsecurity AND current_setting('is_superuser') <> 'on'
  UNION ALL
  SELECT 'the column ' || quote_ident(x.attname) || ', which is somebody''s own' FROM pg_attribute x
  WHERE x.attrelid = c.oid AND x.attname = 'pgdba_wide_' || a.attnum AND x.atttypid <> 'int8'::regtype
) v
WHERE v.what IS NOT NULL
ORDER BY w.n, v.what
