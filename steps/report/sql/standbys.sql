with here as (
  select case when pg_is_in_recovery() then coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) else pg_current_wal_lsn() end as lsn
)
select coalesce(nullif(r.application_name, ''), '-') as name, host(r.client_addr) as address, r.usename as "user", r.state, r.sync_state,
       r.sent_lsn::text as sent_lsn, r.replay_lsn::text as replay_lsn, pg_wal_lsn_diff(h.lsn, r.replay_lsn)::bigint as lag_bytes,
       round(extract(epoch from r.write_lag)::numeric, 3) as write_lag_seconds, round(extract(epoch from r.flush_lag)::numeric, 3) as flush_lag_seconds,
       round(extract(epoch from r.replay_lag)::numeric, 3) as replay_lag_seconds
from pg_stat_replication r, here h
order by 1, 2
