SELECT s.slot_name AS name, s.slot_type = 'logical' AS logical, s.temporary, s.active, s.wal_status AS status,
  (to_jsonb(s) ->> 'failover')::boolean AS failover, (to_jsonb(s) ->> 'synced')::boolean AS synced,
  pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, s.restart_lsn)::bigint AS retained
FROM pg_replication_slots s
