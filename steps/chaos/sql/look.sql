SELECT pg_is_in_recovery() AS standby,
  CASE WHEN pg_is_in_recovery() THEN (SELECT nullif(received_tli, 0) FROM pg_stat_wal_receiver)
       ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END AS timeline,
  (SELECT status FROM pg_stat_wal_receiver) AS receiver,
  CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END AS paused,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END::text AS received,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text AS replayed,
  (SELECT coalesce(array_agg(application_name::text), '{}') FROM pg_stat_replication WHERE state = 'streaming') AS senders,
  (SELECT coalesce(array_agg(application_name::text), '{}') FROM pg_stat_replication
   WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')) AS synchronous
