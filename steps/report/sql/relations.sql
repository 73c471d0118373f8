-- Ranked by what the catalogue says, which opens nothing; only the largest are measured. What another session has locked exclusively
-- is not measured at all, since that would wait for it.
with locked as materialized (
  select l.relation from pg_locks l
  where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
    and l.database = (select oid from pg_database where datname = current_database())
), index_pages as materialized (
  select i.indrelid, sum(c.relpages)::bigint as pages, bool_or(c.oid in (select relation from locked)) as locked
  from pg_index i join pg_class c on c.oid = i.indexrelid
  group by i.indrelid
), ranked as (
  select c.oid, c.relkind, c.reltuples, c.reltoastrelid, c.relpages, coalesce(x.pages, 0) as index_pages,
         coalesce(t.relpages, 0) + coalesce(tx.pages, 0) as toast_pages,
         c.oid in (select relation from locked) or coalesce(x.locked or tx.locked, false)
           or c.reltoastrelid in (select relation from locked) as locked
  from pg_class c left join index_pages x on x.indrelid = c.oid
       left join pg_class t on t.oid = c.reltoastrelid left join index_pages tx on tx.indrelid = t.oid
  where c.relkind in ('r', 'm') and c.relpersistence <> 't'
), guessed as (
  select r.*, r.relpages + r.index_pages + r.toast_pages
           + case when r.relpages = 0 and not r.locked then coalesce(pg_relation_size(r.oid), 0) / current_setting('block_size')::int else 0 end as pages
  from ranked r
), largest as materialized (
  -- Of the server's own only what has outgrown 10 MB, as a catalogue does under much DDL, and large objects always do.
  select * from guessed where oid >= 16384 or pages >= 1280 order by pages desc, oid limit 100
), measured as (
  select g.*, case when g.locked then g.pages * current_setting('block_size')::bigint else pg_total_relation_size(g.oid) end as bytes,
         case when g.locked then g.index_pages * current_setting('block_size')::bigint else pg_indexes_size(g.oid) end as index_bytes,
         case when g.locked or g.reltoastrelid = 0 then g.toast_pages * current_setting('block_size')::bigint
              else pg_total_relation_size(g.reltoastrelid) end as toast_bytes
  from largest g
)
select m.oid::regclass::text as name, m.oid::bigint as oid, (select count(*) from guessed where oid >= 16384) as others, case m.relkind when 'm' then 'materialized view' else 'table' end as kind, m.bytes,
       greatest(m.bytes - m.index_bytes - m.toast_bytes, 0) as table_bytes, m.index_bytes, m.toast_bytes, m.locked as estimated,
       case when m.reltuples >= 0 and not (m.reltuples = 0 and m.relpages = 0) then m.reltuples::bigint end as rows,
       pg_stat_get_live_tuples(m.oid) as live_rows, pg_stat_get_dead_tuples(m.oid) as dead_rows, pg_stat_get_numscans(m.oid) as seq_scans,
       (select sum(pg_stat_get_numscans(i.indexrelid))::bigint from pg_index i where i.indrelid = m.oid) as index_scans,
       to_char(greatest(pg_stat_get_last_vacuum_time(m.oid), pg_stat_get_last_autovacuum_time(m.oid)) at time zone 'utc',
               'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_vacuum,
       to_char(greatest(pg_stat_get_last_analyze_time(m.oid), pg_stat_get_last_autoanalyze_time(m.oid)) at time zone 'utc',
               'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_analyze
from measured m
where m.bytes is not null
order by m.bytes desc, 1
