select checkpoints_timed as timed, checkpoints_req as requested, checkpoint_write_time as write_ms, checkpoint_sync_time as sync_ms,
       buffers_checkpoint as buffers, to_char(stats_reset at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as stats_reset
from pg_stat_bgwriter
