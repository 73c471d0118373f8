-- What the partitions beside a new one have and CREATE TABLE … PARTITION OF does not give it. The default partition is for other rows, and counts as none.
WITH siblings AS (
  SELECT c.oid, c.relacl, c.relowner, c.reloptions, c.relrowsecurity, count(*) OVER () AS all_of_them
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_partitioned_table t ON t.partrelid = i.inhparent
       JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace n ON n.oid = p.relnamespace
  WHERE n.nspname = $1 AND p.relname = $2 AND c.relkind IN ('r', 'p') AND c.oid <> t.partdefid AND coalesce(to_jsonb(i) ->> 'inhdetachpending', 'false') = 'false'
), rights AS (
  SELECT a.grantee, a.privilege_type::text AS privilege, bool_and(a.is_grantable) AS passes, count(DISTINCT s.oid) AS having, s.all_of_them
  FROM siblings s CROSS JOIN LATERAL aclexplode(s.relacl) a
  WHERE a.grantee <> s.relowner AND (a.grantee = 0 OR EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.grantee))
  GROUP BY a.grantee, a.privilege_type, s.all_of_them
), grants AS (
  SELECT CASE WHEN r.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.grantee)) END AS role,
         string_agg(r.privilege, ', ' ORDER BY r.privilege) AS rights, r.passes AND r.having = r.all_of_them AS passes,
         r.having = r.all_of_them AS all_have, min(r.having)::int AS having, r.all_of_them::int AS of
  FROM rights r GROUP BY 1, r.passes AND r.having = r.all_of_them, r.having = r.all_of_them, r.all_of_them
), options AS (
  SELECT o.option_name::text AS name, o.option_value AS value
  FROM siblings s CROSS JOIN LATERAL pg_options_to_table(s.reloptions) o
  GROUP BY 1, 2, s.all_of_them HAVING count(*) = s.all_of_them
)
SELECT coalesce((SELECT json_agg(g ORDER BY g.role, g.passes) FROM grants g), '[]') AS grants,
       coalesce((SELECT json_agg(o ORDER BY o.name) FROM options o), '[]') AS options,
       coalesce((SELECT bool_or(s.relrowsecurity) FROM siblings s), false) AS guarded
