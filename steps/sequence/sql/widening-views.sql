-- The views that read columns, and the views that read these, those that read others last; with all that makes them, and what keeps one from being made again. $1 and $2: tables and
-- numbers of the columns.
WITH RECURSIVE reads AS MATERIALIZED (
  SELECT DISTINCT w.ev_class AS reader, d.refobjid AS rel, d.refobjsubid AS att
  FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = w.ev_class AND c.relkind IN ('v', 'm')
  WHERE w.ev_class <> d.refobjid
), found AS (
  SELECT r.reader AS oid, 1 AS depth
  FROM unnest($1::bigint[], $2::int[]) AS w (rel, att) JOIN reads r ON r.rel = w.rel::oid AND r.att = w.att
  UNION
  SELECT r.reader, f.depth + 1 FROM found f JOIN reads r ON r.rel = f.oid
), views AS (
  SELECT oid, max(depth) AS depth FROM found GROUP BY oid
)
SELECT c.oid::bigint::float8 AS oid, n.nspname AS schema, c.relname AS name, pg_get_userbyid(c.relowner) AS owner, pg_get_viewdef(c.oid) AS definition, obj_description(c.oid, 'pg_class') AS comment,
  (SELECT string_agg(format('%I = %L', o.option_name, o.option_value), ', ') FROM pg_options_to_table(c.reloptions) o) AS options,
  coalesce((SELECT json_agg(json_build_object('name', a.attname, 'comment', col_description(c.oid, a.attnum), 'default', pg_get_expr(f.adbin, f.adrelid)) ORDER BY a.attnum)
            FROM pg_attribute a LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum WHERE a.attrelid = c.oid AND a.attnum > 0), '[]') AS columns,
  coalesce((SELECT json_agg(json_build_object('right', g.privilege_type, 'column', g.attname, 'to', CASE g.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(g.grantee) END, 'option', g.is_grantable))
            FROM (SELECT NULL::name AS attname, x.* FROM aclexplode(c.relacl) x
                  UNION ALL SELECT a.attname, x.* FROM pg_attribute a, aclexplode(a.attacl) x WHERE a.attrelid = c.oid) g), '[]') AS rights,
  c.relacl IS NOT NULL AS granted,
  (SELECT string_agg(v.what, ', ') FROM (
     SELECT 'the materialized view ' || c.oid::regclass AS what WHERE c.relkind = 'm'
     UNION ALL SELECT format('the rule %I of %s', w.rulename, c.oid::regclass) FROM pg_rewrite w WHERE w.ev_class = c.oid AND w.rulename <> '_RETURN'
     UNION ALL SELECT format('the trigger %I of %s', t.tgname, c.oid::regclass) FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
     UNION ALL SELECT format('%s, which belongs to another role', c.oid::regclass) WHERE NOT pg_has_role(c.relowner, 'USAGE')
     UNION ALL SELECT format('%s, which has a security label', c.oid::regclass) WHERE EXISTS (SELECT FROM pg_seclabel l WHERE l.classoid = 'pg_class'::regclass AND l.objoid = c.oid)
     UNION ALL SELECT format('%s, on which others than its owner have granted rights', c.oid::regclass)
               WHERE EXISTS (SELECT FROM aclexplode(c.relacl) x WHERE x.grantor <> c.relowner)
                  OR EXISTS (SELECT FROM pg_attribute a, aclexplode(a.attacl) x WHERE a.attrelid = c.oid AND x.grantor <> c.relowner)
     -- Functions, columns of its row type, an extension it is a part of.
     UNION ALL SELECT format('%s, which %s', c.oid::regclass, CASE d.deptype WHEN 'e' THEN 'belongs to an extension' ELSE 'is needed by ' || pg_describe_object(d.classid, d.objid, d.objsubid) END)
     FROM pg_depend d
     WHERE d.deptype = 'e' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
        OR d.deptype = 'n' AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid OR d.refclassid = 'pg_type'::regclass AND d.refobjid = c.reltype)
           AND d.classid NOT IN ('pg_rewrite'::regclass, 'pg_attrdef'::regclass)
   ) v) AS refused
FROM views s JOIN pg_class c ON c.oid = s.oid JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY s.depth, n.nspname, c.relname
