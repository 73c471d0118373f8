-- The consumer is hidden from who may not see other users' activity; its process is not.
select s.slot_name as name, s.slot_type as type, s.plugin, s.database, s.active,
       case when s.active then coalesce(nullif(r.application_name, ''), 'pid ' || s.active_pid) || coalesce(' at ' || host(r.client_addr), '') end as consumer,
       s.wal_status, s.safe_wal_size as safe_wal_bytes,
       pg_wal_lsn_diff(h.lsn, s.restart_lsn)::bigint as retained_bytes,
       pg_wal_lsn_diff(h.lsn, coalesce(s.confirmed_flush_lsn, s.restart_lsn))::bigint as unread_bytes,
       to_jsonb(s) ->> 'invalidation_reason' as invalidation_reason, to_jsonb(s) ->> 'inactive_since' as inactive_since
from pg_replication_slots s left join pg_stat_replication r on r.pid = s.active_pid
     cross join (select case when pg_is_in_recovery() then coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                             else pg_current_wal_lsn() end as lsn) h
order by retained_bytes desc nulls last, 1
limit 200
