SELECT DISTINCT b.role_name AS role, b.kind, b.oid::bigint AS oid, b.sub, b.name, b.col, b."right"
FROM bare b WHERE b.keeps ORDER BY 1, 2, 5, 4, 7
