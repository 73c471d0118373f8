select dealloc as evicted, to_char(stats_reset at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as stats_reset,
       current_setting('pg_stat_statements.max')::int as max
from :"extension".pg_stat_statements_info
