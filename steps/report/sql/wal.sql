select current_setting('wal_level') as level, h.lsn::text as lsn, pg_wal_lsn_diff(h.lsn, '0/0')::text as position,
       current_setting('max_wal_size') as max_size, current_setting('synchronous_standby_names') as synchronous_standby_names
from (select case when pg_is_in_recovery() then coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                  else pg_current_wal_lsn() end as lsn) h
