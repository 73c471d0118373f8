select d.datname as name, d.oid::bigint as oid, pg_get_userbyid(d.datdba) as owner, s.numbackends as connections, s.xact_commit as commits,
       s.xact_rollback as rollbacks, s.blks_hit, s.blks_read, s.temp_bytes, s.deadlocks,
       s.tup_returned + s.tup_fetched as rows_read, s.tup_inserted + s.tup_updated + s.tup_deleted as rows_written,
       age(d.datfrozenxid) as xid_age,
       to_char(s.stats_reset at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as stats_reset
from pg_database d left join pg_stat_database s on s.datid = d.oid
order by s.xact_commit desc nulls last
limit 500
