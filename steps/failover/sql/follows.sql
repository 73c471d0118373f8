SELECT pg_is_in_recovery() AS standby, r.status, nullif(r.received_tli, 0) AS timeline
FROM (VALUES (1)) one LEFT JOIN pg_stat_wal_receiver r ON true
