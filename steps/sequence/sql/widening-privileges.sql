-- What is granted on a column of the relation $1 (its name, quoted), or, where $2 names none, on that sequence; in the order in which it was granted.
SELECT x.grantor::regrole::text AS grantor, CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END AS grantee,
  x.privilege_type AS privilege, x.is_grantable AS grantable, x.grantor = c.relowner AS by_owner
FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2,
  aclexplode(CASE WHEN $2::text IS NULL THEN coalesce(c.relacl, acldefault('s', c.relowner)) ELSE a.attacl END)
    WITH ORDINALITY AS x(grantor, grantee, privilege_type, is_grantable, place)
WHERE c.oid = $1::regclass
ORDER BY x.place
