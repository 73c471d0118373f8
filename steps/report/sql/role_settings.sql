select d.datname as database, r.rolname as role, s.setconfig as settings
from pg_db_role_setting s left join pg_database d on d.oid = s.setdatabase left join pg_roles r on r.oid = s.setrole
order by 1 nulls first, 2 nulls first
limit 200
