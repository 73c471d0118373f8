-- The waiting and the long ones among the sessions, as the checks lock-waits, long-transactions, idle-in-transaction and prepared-transactions see them.
with waiting as (
  select extract(epoch from clock_timestamp() - coalesce(l.since, a.query_start)) as seconds
  from pg_stat_activity a left join lateral (
    select (to_jsonb(l) ->> 'waitstart')::timestamptz as since from pg_locks l where l.pid = a.pid and not l.granted limit 1
  ) l on true
  where a.wait_event_type = 'Lock'
), clients as (
  select a.state, extract(epoch from clock_timestamp() - a.xact_start) as transaction, extract(epoch from clock_timestamp() - a.state_change) as since
  from pg_stat_activity a
  where a.backend_type = 'client backend' and a.pid <> pg_backend_pid() and a.xact_start is not null
)
select (select coalesce(max(seconds), 0) from waiting)::float8 as lock_wait,
       (select count(*) from waiting)::float8 as lock_waiters,
       (select coalesce(max(transaction), 0) from clients)::float8 as transaction,
       (select coalesce(max(since), 0) from clients where state like 'idle in transaction%')::float8 as idle,
       (select coalesce(max(extract(epoch from clock_timestamp() - prepared)), 0) from pg_prepared_xacts)::float8 as prepared,
       pg_has_role('pg_read_all_stats', 'usage') as sees_all
