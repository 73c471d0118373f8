select s.slot_name as name, s.slot_type as type, s.plugin, s.database, s.active, s.wal_status, s.safe_wal_size as safe_wal_bytes,
       pg_wal_lsn_diff(case when pg_is_in_recovery() then coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                            else pg_current_wal_lsn() end, s.restart_lsn)::bigint as retained_bytes,
       to_jsonb(s) ->> 'invalidation_reason' as invalidation_reason, to_jsonb(s) ->> 'inactive_since' as inactive_since
from pg_replication_slots s
order by retained_bytes desc nulls last, 1
limit 200
