SELECT pid, phase FROM pg_stat_progress_basebackup
