-- Statement by statement, whoever runs it and wherever; our own only in the sums, as nobody wants to see the thermometer.
-- Columns that came or were renamed later are looked up by name.
with s as materialized (
  select *, query like 'select /* pgdba */ %' as own from pg_stat_statements
), ranked as (
  select s.*, row_number() over (order by s.own, s.total_exec_time desc) as rank,
         sum(s.total_exec_time) over () as all_ms, sum(s.calls) over () as all_calls, count(*) over () as entries,
         coalesce(sum(s.total_exec_time) filter (where s.own) over (), 0) as own_ms, count(*) filter (where s.own) over () as own_entries
  from s
)
select r.queryid::text as queryid, d.datname as database, u.rolname as "user", r.calls, round(r.total_exec_time::numeric, 3) as total_ms,
       r.rows, r.entries, round(r.all_ms::numeric, 3) as all_ms, r.all_calls::bigint as all_calls, round(r.own_ms::numeric, 3) as own_ms,
       r.entries - r.own_entries as others,
       case when r.rank <= 200 then json_build_object(
         'query', left(r.query, 2000), 'mean_ms', round(r.mean_exec_time::numeric, 3), 'max_ms', round(r.max_exec_time::numeric, 3),
         'stddev_ms', round(r.stddev_exec_time::numeric, 3), 'hit', r.shared_blks_hit, 'read', r.shared_blks_read,
         'temp', r.temp_blks_read + r.temp_blks_written, 'wal_bytes', r.wal_bytes,
         'read_ms', round((coalesce(j.row ->> 'shared_blk_read_time', j.row ->> 'blk_read_time'))::numeric, 3)) end as detail
from ranked r left join pg_database d on d.oid = r.dbid left join pg_roles u on u.oid = r.userid
     left join lateral (select to_jsonb(r) - 'query' as row where r.rank <= 200) j on true
where r.rank <= 1000 and not r.own
order by r.rank
