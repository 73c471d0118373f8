SELECT t.kind, t.oid::bigint AS oid, t.sub, t.name, t.col, pg_get_userbyid(t.owner)::text AS owner, pg_get_userbyid(t.grantor)::text AS grantor, t."right", t.grantable
FROM taken t ORDER BY t.kind, t.name, t.sub, t.grantor, t."right"
