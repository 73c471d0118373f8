select num_timed as timed, num_requested as requested, write_time as write_ms, sync_time as sync_ms, buffers_written as buffers,
       to_char(stats_reset at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as stats_reset
from pg_stat_checkpointer
