select p.phase, p.backup_total as total_bytes, p.backup_streamed as streamed_bytes from pg_stat_progress_basebackup p
