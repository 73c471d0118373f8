, reading AS MATERIALIZED (
  -- A view reads what is below it by the right of its owner.
  SELECT DISTINCT d.refobjid AS oid, v.relowner AS owner
  FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND v.oid <> d.refobjid
), living AS MATERIALIZED (
  -- Those who get as far as this, and those whose functions do it for others.
  SELECT r.oid, r.login, has_database_privilege(r.oid, current_database(), 'CONNECT') AS connects,
         coalesce(has_schema_privilege(r.oid, to_regnamespace(quote_ident($3))::oid, 'USAGE'), false) AS enters,
         EXISTS (SELECT FROM pg_proc p WHERE p.prosecdef AND p.proowner = r.oid) AS lends
  FROM roles r WHERE NOT EXISTS (SELECT FROM unnest($8) k WHERE pg_has_role(r.oid, k, 'USAGE'))
), named AS MATERIALIZED (
  SELECT a.class, a.kind, a.oid, a.name || coalesce('.' || quote_ident(a.col), '') AS name FROM alike a
), classes AS MATERIALIZED (
  SELECT class, kind, count(*) AS count, (array_agg(name ORDER BY name))[1:10] AS names FROM named GROUP BY 1, 2
), lacking AS MATERIALIZED (
  SELECT b.role, b.role_name, b.login, c.class, c.kind, string_agg(b."right", ', ' ORDER BY b."right") AS rights,
         bool_or(l.login AND (c.kind = 'database' OR l.connects) AND (c.kind IN ('database', 'schema') OR l.enters) OR l.lends) AS lives
  FROM bare b JOIN classes c USING (class) JOIN living l ON l.oid = b.role
  GROUP BY 1, 2, 3, 4, 5
), lost AS (
  SELECT k.role, k.role_name, k.login, k.kind, k.rights, c.count, c.names FROM lacking k JOIN classes c USING (class) WHERE k.lives
  UNION ALL
  SELECT k.role, k.role_name, k.login, k.kind, k.rights, 1, array[n.name]
  FROM lacking k JOIN named n USING (class) JOIN reading v ON v.oid = n.oid AND v.owner = k.role WHERE k.kind = 'table' AND NOT k.lives
)
SELECT l.role_name AS role, l.login, (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = l.role AND a.datname = current_database())::int AS sessions,
       l.kind, l.rights, (sum(l.count) FILTER (WHERE n.place = 1))::int AS count, (array_agg(n.name ORDER BY n.name))[1:10] AS names
FROM lost l CROSS JOIN LATERAL unnest(l.names) WITH ORDINALITY n (name, place)
GROUP BY l.role, l.role_name, l.login, l.kind, l.rights ORDER BY 3 DESC, 1, 4, 5
