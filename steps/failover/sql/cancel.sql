SELECT pid, pg_terminate_backend(pid) AS ended
FROM pg_stat_activity
WHERE pid = ANY ($1::int[]) AND backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND xact_start <= clock_timestamp() - make_interval(secs => $2::float8)
