select d.datname as name,
       case when has_database_privilege(d.oid, 'connect') or pg_has_role('pg_read_all_stats', 'usage')
            then pg_database_size(d.oid) end as bytes
from pg_database d
order by bytes desc nulls last
limit 500
