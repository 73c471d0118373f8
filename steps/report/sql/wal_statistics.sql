select wal_records as records, wal_fpi as full_page_images, wal_bytes::bigint as bytes, wal_buffers_full as buffers_full,
       to_char(stats_reset at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as stats_reset
from pg_stat_wal
