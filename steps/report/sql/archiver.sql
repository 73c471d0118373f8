select current_setting('archive_mode') as mode, a.archived_count as archived, a.last_archived_wal,
       to_char(a.last_archived_time at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_archived_time,
       a.failed_count as failed, a.last_failed_wal,
       to_char(a.last_failed_time at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_failed_time,
       coalesce(a.last_failed_time > a.last_archived_time, a.last_failed_time is not null) as failing
from pg_stat_archiver a
