/**
 * The objects that belong to relations ($1): `runs` for those that reading evaluates, otherwise those that only planning may
 * evaluate. Texts are as the server writes them; the dependencies add what no text shows, such as the operator of a simple CASE.
 */
export const RELATED = `WITH wanted AS (SELECT unnest($1::oid[]) AS oid),
parts (relation, classid, objid, text, by, runs) AS (
  SELECT w.oid, 'pg_rewrite'::regclass::oid, r.oid, CASE r.ev_type WHEN '1' THEN pg_get_viewdef(w.oid) ELSE pg_get_ruledef(r.oid) END,
    CASE r.ev_type WHEN '1' THEN '' ELSE 'rule ' || quote_ident(r.rulename) || ' of ' END || w.oid::regclass, r.ev_type = '1'
  FROM wanted w JOIN pg_rewrite r ON r.ev_class = w.oid JOIN pg_class c ON c.oid = w.oid WHERE c.relkind <> 'm'
  UNION ALL
  SELECT w.oid, 'pg_policy'::regclass, p.oid, coalesce(pg_get_expr(p.polqual, w.oid), '') || ' ' || coalesce(pg_get_expr(p.polwithcheck, w.oid), ''),
    'policy ' || quote_ident(p.polname) || ' of ' || w.oid::regclass, true
  FROM wanted w JOIN pg_class c ON c.oid = w.oid JOIN pg_policy p ON p.polrelid = w.oid WHERE c.relrowsecurity
  UNION ALL
  SELECT w.oid, 'pg_class'::regclass, i.indexrelid, coalesce(pg_get_expr(i.indexprs, w.oid), '') || ' ' || coalesce(pg_get_expr(i.indpred, w.oid), ''),
    'index ' || i.indexrelid::regclass, false
  FROM wanted w JOIN pg_index i ON i.indrelid = w.oid WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
  UNION ALL
  SELECT w.oid, 'pg_constraint'::regclass, k.oid, pg_get_constraintdef(k.oid), 'constraint ' || quote_ident(k.conname) || ' of ' || w.oid::regclass, false
  FROM wanted w JOIN pg_constraint k ON k.conrelid = w.oid WHERE k.contype = 'c'
  UNION ALL
  SELECT w.oid, 'pg_statistic_ext'::regclass, s.oid, substring(pg_get_statisticsobjdef(s.oid) FROM ' ON (.*)'), 'statistics ' || quote_ident(s.stxname), false
  FROM wanted w JOIN pg_statistic_ext s ON s.stxrelid = w.oid
  UNION ALL
  SELECT w.oid, 'pg_attrdef'::regclass, d.oid, pg_get_expr(d.adbin, w.oid), 'a default of ' || w.oid::regclass, a.attgenerated <> ''
  FROM wanted w JOIN pg_attrdef d ON d.adrelid = w.oid JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
  UNION ALL
  SELECT w.oid, 'pg_class'::regclass, p.partrelid, pg_get_expr(p.partexprs, p.partrelid), 'the partition key of ' || p.partrelid::regclass, false
  FROM wanted w CROSS JOIN LATERAL pg_partition_ancestors(w.oid) AS up (oid) JOIN pg_partitioned_table p ON p.partrelid = up.oid
  WHERE p.partexprs IS NOT NULL)
SELECT relation::text, 'text' AS what, text AS value, by, runs FROM parts
UNION ALL
SELECT DISTINCT p.relation::text, CASE d.refclassid WHEN 'pg_class'::regclass THEN 'relation' WHEN 'pg_type'::regclass THEN 'type'
    WHEN 'pg_proc'::regclass THEN 'function' ELSE 'operator' END,
  coalesce(f.proname, d.refobjid::text), p.by, p.runs
FROM parts p JOIN pg_depend d ON d.classid = p.classid AND d.objid = p.objid AND d.refobjid >= 16384
LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
LEFT JOIN pg_proc f ON f.oid = CASE d.refclassid WHEN 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
WHERE d.refclassid IN ('pg_type'::regclass, 'pg_proc'::regclass, 'pg_operator'::regclass)
  OR d.refclassid = 'pg_class'::regclass AND d.refobjid <> p.relation
    AND EXISTS (SELECT FROM pg_class c WHERE c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'v', 'f'))
UNION ALL
SELECT w.oid::text, 'relation', i.inhrelid::text, i.inhrelid::regclass::text, true FROM wanted w JOIN pg_inherits i ON i.inhparent = w.oid
UNION ALL
SELECT DISTINCT w.oid::text, 'type', a.atttypid::text, format_type(a.atttypid, NULL::int4), true
FROM wanted w JOIN pg_attribute a ON a.attrelid = w.oid WHERE a.attnum > 0 AND a.atttypid >= 16384
UNION ALL
SELECT w.oid::text, 'foreign', CASE
    WHEN h.extname = 'file_fdw' AND names @> '{filename}' AND NOT names && '{program}' THEN 'file'
    WHEN EXISTS (SELECT FROM pg_options_to_table(f.ftoptions || s.srvoptions) AS o WHERE o.option_name = 'use_remote_estimate'
      AND lower(o.option_value) NOT IN ('false', 'off', '0')) THEN 'estimating' ELSE 'other' END,
  w.oid::regclass::text, true
FROM wanted w JOIN pg_foreign_table f ON f.ftrelid = w.oid JOIN pg_foreign_server s ON s.oid = f.ftserver
JOIN pg_foreign_data_wrapper x ON x.oid = s.srvfdw
LEFT JOIN pg_depend d ON d.classid = 'pg_foreign_data_wrapper'::regclass AND d.objid = x.oid AND d.deptype = 'e'
LEFT JOIN pg_extension h ON h.oid = d.refobjid
CROSS JOIN LATERAL (SELECT coalesce(array_agg(o.option_name), '{}') AS names FROM pg_options_to_table(f.ftoptions) AS o) AS options`;

/**
 * The objects that a change of tables evaluates and no plan shows ($1 schemas, $2 names, $3 true for inserts): those of partitions,
 * and of tables that foreign keys change in turn; NULL for a foreign table. A policy's USING is its CHECK where it has no other.
 */
export const TOUCHED = `WITH RECURSIVE touched (oid, fills) AS (
  SELECT c.oid, wanted.fills FROM unnest($1::text[], $2::text[], $3::bool[]) AS wanted (schema, name, fills)
  JOIN pg_namespace n ON n.nspname = wanted.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name
  UNION
  SELECT more.oid, more.fills FROM touched t CROSS JOIN LATERAL (
    SELECT inhrelid AS oid, t.fills FROM pg_inherits WHERE inhparent = t.oid
    UNION ALL
    SELECT conrelid, confdeltype = 'd' OR confupdtype = 'd' FROM pg_constraint WHERE confrelid = t.oid AND contype = 'f'
      AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))) AS more),
changed AS (SELECT DISTINCT oid FROM touched)
SELECT c.oid::text AS relation, 'foreign' AS what, NULL AS text, c.oid::regclass::text AS by FROM changed JOIN pg_class c USING (oid) WHERE c.relkind = 'f'
UNION ALL
SELECT oid::text, 'relation', NULL, oid::regclass::text FROM changed
UNION ALL
SELECT t.tgrelid::text, 'text', pg_get_triggerdef(t.oid), 'trigger ' || quote_ident(t.tgname) || ' of ' || t.tgrelid::regclass
FROM changed JOIN pg_trigger t ON t.tgrelid = changed.oid WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
UNION ALL
SELECT k.conrelid::text, 'text', pg_get_constraintdef(k.oid), 'constraint ' || quote_ident(k.conname) || ' of ' || k.conrelid::regclass
FROM changed JOIN pg_constraint k ON k.conrelid = changed.oid WHERE k.contype IN ('c', 'x')
UNION ALL
SELECT d.adrelid::text, CASE a.attgenerated WHEN '' THEN 'default' ELSE 'text' END, pg_get_expr(d.adbin, d.adrelid), 'a default of ' || d.adrelid::regclass
FROM changed JOIN pg_attrdef d ON d.adrelid = changed.oid JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE a.attgenerated <> '' OR EXISTS (SELECT FROM touched t WHERE t.oid = changed.oid AND t.fills)
UNION ALL
SELECT DISTINCT a.attrelid::text, 'default', CASE WHEN a.attidentity <> '' THEN 'nextval(' ELSE t.typdefault END, 'a default of ' || a.attrelid::regclass
FROM touched JOIN pg_attribute a ON a.attrelid = touched.oid JOIN pg_type t ON t.oid = a.atttypid
WHERE touched.fills AND a.attnum > 0 AND (a.attidentity <> '' OR t.typdefaultbin IS NOT NULL)
UNION ALL
SELECT i.indrelid::text, 'text', coalesce(pg_get_expr(i.indexprs, i.indrelid), '') || ' ' || coalesce(pg_get_expr(i.indpred, i.indrelid), ''), 'index ' || i.indexrelid::regclass
FROM changed JOIN pg_index i ON i.indrelid = changed.oid WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
UNION ALL
SELECT DISTINCT i.indrelid::text, 'support', p.proname::text, 'index ' || i.indexrelid::regclass
FROM changed JOIN pg_index i ON i.indrelid = changed.oid CROSS JOIN LATERAL unnest(i.indclass::oid[]) AS used (oid)
JOIN pg_opclass o ON o.oid = used.oid JOIN pg_amproc f ON f.amprocfamily = o.opcfamily JOIN pg_proc p ON p.oid = f.amproc WHERE p.oid >= 16384
UNION ALL
SELECT changed.oid::text, 'text', pg_get_expr(p.partexprs, p.partrelid), 'the partition key of ' || p.partrelid::regclass
FROM changed CROSS JOIN LATERAL pg_partition_ancestors(changed.oid) AS up (oid) JOIN pg_partitioned_table p ON p.partrelid = up.oid
WHERE p.partexprs IS NOT NULL
UNION ALL
SELECT p.polrelid::text, 'text', pg_get_expr(coalesce(p.polwithcheck, p.polqual), p.polrelid), 'policy ' || quote_ident(p.polname) || ' of ' || p.polrelid::regclass
FROM changed JOIN pg_policy p ON p.polrelid = changed.oid WHERE p.polwithcheck IS NOT NULL OR p.polqual IS NOT NULL`;
