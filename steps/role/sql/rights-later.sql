-- Default privileges. $1: the role (0: PUBLIC) · $2: who makes it · $3: the schema, or null for those of every one · $4: kinds (all when empty) · $5: rights
SELECT pg_get_userbyid(a.owner)::text AS maker, n.nspname::text AS schema, a.kind, string_agg(x.privilege_type, ', ' ORDER BY x.privilege_type) AS rights, x.is_grantable AS grantable
FROM (
  SELECT d.defaclrole AS owner, d.defaclnamespace AS schema, CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' ELSE 'schemas' END AS kind,
         d.defaclacl AS acl
  FROM pg_default_acl d WHERE d.defaclobjtype IN ('r', 'S', 'f', 'n')
  UNION ALL
  -- Where nothing is said everybody may run functions: that is taken only from who asks for it by name.
  SELECT r.oid, 0, 'functions', acldefault('f', r.oid) FROM pg_roles r
  WHERE 'functions' = ANY ($4::text[]) AND NOT EXISTS (SELECT FROM pg_default_acl d WHERE d.defaclrole = r.oid AND d.defaclnamespace = 0 AND d.defaclobjtype = 'f')
) a LEFT JOIN pg_namespace n ON n.oid = a.schema CROSS JOIN aclexplode(a.acl) x
WHERE x.grantee = $1::oid AND x.grantee <> a.owner AND pg_get_userbyid(a.owner) = ANY ($2::text[]) AND ($3::text IS NULL OR n.nspname = $3)
  AND (cardinality($4) = 0 OR a.kind = ANY ($4)) AND (cardinality($5::text[]) = 0 OR x.privilege_type = ANY ($5))
GROUP BY a.owner, n.nspname, a.kind, x.is_grantable
ORDER BY 1, 2 NULLS FIRST, 3
