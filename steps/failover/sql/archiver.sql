SELECT coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false) AS failing, a.last_failed_wal,
  CASE WHEN pg_has_role('pg_monitor', 'USAGE')
    THEN (SELECT count(*)::int FROM pg_ls_archive_statusdir() f WHERE f.name LIKE '%.ready') END AS ready
FROM pg_stat_archiver a WHERE current_setting('archive_mode') <> 'off'
