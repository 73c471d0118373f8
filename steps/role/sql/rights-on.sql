-- The rights on what is chosen, each with who has it and from whom. $1: the role that is to lose them (0: PUBLIC) · $2: kinds · $3: the schema ·
-- $4 $5 $6: names of tables, sequences and functions (all when empty) · $7: rights (all when empty) · $8: roles that keep them.
WITH chosen AS (
  SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind, c.oid, 0 AS sub, format('%I.%I', n.nspname, c.relname) AS name, NULL::text AS col,
         c.relowner AS owner, n.oid AS schema, coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) AS acl
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $3 AND (c.relkind IN ('r', 'p', 'v', 'm', 'f') AND 'tables' = ANY ($2::text[]) AND (cardinality($4::text[]) = 0 OR c.relname = ANY ($4))
                            OR c.relkind = 'S' AND 'sequences' = ANY ($2) AND (cardinality($5::text[]) = 0 OR c.relname = ANY ($5)))
    -- What an extension has opened to everybody is meant so, and is taken only by name.
    AND ($1 <> 0 OR c.relname = ANY ($4 || $5) OR NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
  UNION ALL
  SELECT 'table', c.oid, a.attnum, format('%I.%I', n.nspname, c.relname), a.attname::text, c.relowner, n.oid, a.attacl
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND n.nspname = $3 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND 'tables' = ANY ($2)
    AND (cardinality($4) = 0 OR c.relname = ANY ($4))
  UNION ALL
  SELECT 'function', p.oid, 0, p.oid::regprocedure::text, NULL, p.proowner, n.oid, coalesce(p.proacl, acldefault('f', p.proowner))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  -- A function is named alone, with the types of its arguments, or with its schema as well.
  WHERE n.nspname = $3 AND 'functions' = ANY ($2)
    AND (cardinality($6::text[]) = 0 OR p.proname = ANY ($6) OR p.oid::regprocedure::text = ANY ($6) OR substr(p.oid::regprocedure::text, length(quote_ident(n.nspname)) + 2) = ANY ($6))
    AND ($1 <> 0 OR cardinality($6) > 0 OR NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'))
  UNION ALL
  SELECT 'schema', n.oid, 0, quote_ident(n.nspname), NULL, n.nspowner, n.oid, coalesce(n.nspacl, acldefault('n', n.nspowner))
  FROM pg_namespace n WHERE n.nspname = $3 AND 'schema' = ANY ($2)
  UNION ALL
  SELECT 'database', d.oid, 0, quote_ident(d.datname), NULL, d.datdba, NULL, coalesce(d.datacl, acldefault('d', d.datdba))
  FROM pg_database d WHERE d.datname = current_database() AND 'database' = ANY ($2)
), entries AS MATERIALIZED (
  SELECT c.kind, c.oid, c.sub, c.name, c.col, c.owner, c.schema, x.grantor, x.grantee, x.privilege_type AS "right", x.is_grantable AS grantable,
         x.grantee = $1::oid AND x.grantee <> c.owner AND (cardinality($7::text[]) = 0 OR x.privilege_type = ANY ($7)) AS taken
  FROM chosen c, aclexplode(c.acl) x
), taken AS MATERIALIZED (
  SELECT * FROM entries WHERE taken
), roles AS MATERIALIZED (
  SELECT r.oid, r.rolname::text AS name, r.rolcanlogin AS login, r.oid = ANY ($8::oid[]) AS keeps
  FROM pg_roles r
  WHERE r.oid <> $1 AND ($1 = 0 OR pg_has_role(r.oid, $1, 'USAGE')) AND (NOT r.rolsuper AND r.rolname !~ '^pg_' OR r.oid = ANY ($8))
), others AS (
  SELECT kind, oid, sub, "right", grantee FROM entries WHERE NOT taken
  UNION ALL
  -- Memberships that open everything.
  SELECT t.kind, t.oid, t.sub, t."right", g.oid
  FROM taken t JOIN pg_roles g ON (g.rolname = 'pg_read_all_data' AND (t.kind IN ('table', 'sequence') AND t."right" = 'SELECT' OR t.kind = 'schema' AND t."right" = 'USAGE'))
       OR (g.rolname = 'pg_write_all_data' AND (t.kind = 'table' AND t."right" IN ('INSERT', 'UPDATE', 'DELETE') OR t.kind = 'schema' AND t."right" = 'USAGE'))
       OR (g.rolname = 'pg_maintain' AND t."right" = 'MAINTAIN')
), held AS MATERIALIZED (
  SELECT t.kind, t.oid, t.sub, t.name, t.col, t."right", array_agg(DISTINCT o.grantee ORDER BY o.grantee) FILTER (WHERE o.grantee IS NOT NULL) AS also
  FROM (SELECT DISTINCT kind, oid, sub, name, col, "right" FROM taken) t
    LEFT JOIN others o ON o.kind = t.kind AND o.oid = t.oid AND o.sub IN (0, t.sub) AND o."right" = t."right"
  GROUP BY 1, 2, 3, 4, 5, 6
), alike AS MATERIALIZED (
  -- Roles are compared with each group of things that the same others may use, not with each thing: there are thousands of tables, and few such groups.
  SELECT dense_rank() OVER (ORDER BY kind, uses) AS class, kind, oid, sub, name, col
  FROM (SELECT kind, oid, sub, name, col, string_agg("right" || coalesce(also::text, ''), ' ' ORDER BY "right") AS uses FROM held GROUP BY 1, 2, 3, 4, 5) h
), uses AS MATERIALIZED (
  SELECT a.class, h."right", h.also FROM (SELECT DISTINCT ON (class) class, kind, oid, sub FROM alike ORDER BY class) a JOIN held h USING (kind, oid, sub)
), member AS MATERIALIZED (
  SELECT r.oid, g.grantee FROM roles r, (SELECT DISTINCT unnest(also) AS grantee FROM uses) g WHERE g.grantee = 0 OR pg_has_role(r.oid, g.grantee, 'USAGE')
), having_it AS MATERIALIZED (
  SELECT DISTINCT u.class, u."right", m.oid AS role FROM uses u CROSS JOIN LATERAL unnest(u.also) g JOIN member m ON m.grantee = g
), bare AS MATERIALIZED (
  -- Who has it by this grant and by nothing else.
  SELECT u.class, u."right", r.oid AS role, r.name AS role_name, r.login, r.keeps
  FROM uses u CROSS JOIN roles r
  WHERE NOT EXISTS (SELECT FROM having_it h WHERE h.class = u.class AND h."right" = u."right" AND h.role = r.oid)
)
