SELECT b.role_name AS role, a.kind, a.oid::bigint AS oid, a.sub, a.name, a.col, b."right"
FROM bare b JOIN alike a USING (class) WHERE b.keeps ORDER BY 1, 2, 5, 4, 7
