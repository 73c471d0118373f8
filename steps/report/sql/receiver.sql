select w.status, w.sender_host, w.sender_port, w.slot_name,
       pg_last_wal_receive_lsn()::text as receive_lsn, pg_last_wal_replay_lsn()::text as replay_lsn,
       pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint as replay_lag_bytes,
       case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
            else round(extract(epoch from now() - pg_last_xact_replay_timestamp())::numeric, 1) end as replay_lag_seconds,
       pg_is_wal_replay_paused() as replay_paused
from (select) x left join pg_stat_wal_receiver w on true
