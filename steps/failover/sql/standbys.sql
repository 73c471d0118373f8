SELECT application_name AS name, coalesce(state, '') AS state, coalesce(sync_state, '') AS sync
FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup'
