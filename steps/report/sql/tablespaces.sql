select t.spcname as name, pg_tablespace_location(t.oid) as location,
       case when has_tablespace_privilege(t.oid, 'create') or pg_has_role('pg_read_all_stats', 'usage')
            then pg_tablespace_size(t.oid) end as bytes
from pg_tablespace t
where t.spcname not in ('pg_default', 'pg_global')
order by 1
