-- Statement by statement, whoever runs it and wherever; our own only in the sums, as nobody wants to see the thermometer, and so those
-- of others that this user may not see. The sums come with every row, and alone when there is none to see.
-- Columns that came or were renamed later are looked up by name.
with s as materialized (
  select *, coalesce(query like '%/* pgdba */%', false) as own,
         queryid is null and coalesce(query = '<insufficient privilege>', true) as hidden
  from :"extension".pg_stat_statements
), sums as materialized (
  select coalesce(sum(total_exec_time), 0) as all_ms, coalesce(sum(calls), 0) as all_calls, count(*) as entries,
         count(*) filter (where hidden) as hidden, coalesce(sum(total_exec_time) filter (where own), 0) as own_ms,
         count(*) filter (where not own and not hidden) as others
  from s
), ranked as (
  select s.*, row_number() over (order by s.total_exec_time desc) as rank from s where not s.own and not s.hidden
)
select r.queryid::text as queryid, d.datname as database, u.rolname as "user", r.calls, round(r.total_exec_time::numeric, 3) as total_ms,
       r.rows, t.entries, t.hidden, round(t.all_ms::numeric, 3) as all_ms, t.all_calls::bigint as all_calls,
       round(t.own_ms::numeric, 3) as own_ms, t.others,
       case when r.rank <= 200 then json_build_object(
         'query', left(r.query, 2000), 'mean_ms', round(r.mean_exec_time::numeric, 3), 'max_ms', round(r.max_exec_time::numeric, 3),
         'stddev_ms', round(r.stddev_exec_time::numeric, 3), 'hit', r.shared_blks_hit, 'read', r.shared_blks_read,
         'temp', r.temp_blks_read + r.temp_blks_written, 'wal_bytes', r.wal_bytes,
         'read_ms', round((coalesce(j.row ->> 'shared_blk_read_time', j.row ->> 'blk_read_time'))::numeric, 3)) end as detail
from sums t left join ranked r on r.rank <= 1000 left join pg_database d on d.oid = r.dbid left join pg_roles u on u.oid = r.userid
     left join lateral (select to_jsonb(r) - 'query' as row where r.rank <= 200) j on true
order by r.rank
