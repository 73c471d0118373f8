SELECT CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(e.grantee)::text END AS through, e.kind, e."right", count(*)::int AS count, (array_agg(e.name ORDER BY e.name))[1:10] AS names
FROM entries e
WHERE $1 <> 0 AND NOT e.taken AND e.grantee <> $1 AND (cardinality($7) = 0 OR e."right" = ANY ($7)) AND (e.grantee = 0 OR pg_has_role($1, e.grantee, 'USAGE'))
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
