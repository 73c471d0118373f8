, reading AS MATERIALIZED (
  -- A view reads what is below it by the right of its owner.
  SELECT DISTINCT d.refobjid AS oid, v.relowner AS owner
  FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND v.oid <> d.refobjid
), lost AS (
  SELECT b.role, b.role_name, b.login, b.kind, b.name || coalesce('.' || quote_ident(b.col), '') AS name, string_agg(DISTINCT b."right", ', ' ORDER BY b."right") AS rights
  FROM bare b
  WHERE NOT EXISTS (SELECT FROM unnest($8) k WHERE pg_has_role(b.role, k, 'USAGE'))
    -- Those who get as far as this, and those whose views and functions do it for others.
    AND (b.login AND (b.kind = 'database' OR has_database_privilege(b.role, current_database(), 'CONNECT'))
           AND (b.kind IN ('database', 'schema') OR has_schema_privilege(b.role, b.schema, 'USAGE'))
         OR b.kind = 'table' AND EXISTS (SELECT FROM reading v WHERE v.oid = b.oid AND v.owner = b.role)
         OR EXISTS (SELECT FROM pg_proc p WHERE p.prosecdef AND p.proowner = b.role))
  GROUP BY 1, 2, 3, 4, 5
)
SELECT l.role_name AS role, l.login, (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = l.role AND a.datname = current_database())::int AS sessions,
       l.kind, l.rights, count(*)::int AS count, (array_agg(l.name ORDER BY l.name))[1:10] AS names
FROM lost l GROUP BY l.role, l.role_name, l.login, l.kind, l.rights ORDER BY 3 DESC, 1, 4, 5
