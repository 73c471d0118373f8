select s.subname as name, s.pid is not null as running, s.received_lsn::text as received_lsn,
       round(extract(epoch from now() - s.latest_end_time)::numeric, 1) as behind_seconds
from pg_stat_subscription s
where s.relid is null
order by 1
limit 200
