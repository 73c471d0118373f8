SELECT pg_is_in_recovery() AS standby,
  current_setting('server_version_num')::int AS version,
  CASE WHEN pg_is_in_recovery() THEN (SELECT nullif(received_tli, 0) FROM pg_stat_wal_receiver)
       ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END AS timeline,
  CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END AS replay_paused,
  (SELECT status FROM pg_stat_wal_receiver) AS receiver, extract(epoch FROM clock_timestamp())::float8 AS clock,
  (SELECT jsonb_object_agg(name, setting) FROM pg_settings
   WHERE name IN ('max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions',
     'max_locks_per_transaction', 'wal_log_hints', 'data_checksums', 'full_page_writes', 'max_wal_size', 'archive_mode')) AS settings
