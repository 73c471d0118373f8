-- Of sessions of others a user without pg_monitor sees neither the state nor the times.
with s as materialized (
  select coalesce(state, 'hidden') as state, coalesce(datname, '-') as database, coalesce(usename, '-') as "user",
         coalesce(nullif(application_name, ''), '-') as application, xact_start, query_start, state as visible, wait_event_type
  from pg_stat_activity
  where backend_type = 'client backend' and pid <> pg_backend_pid()
)
select (select count(*) from s) as used, current_setting('max_connections')::int as max,
       current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true)::int, 0) as reserved,
       (select count(*) from s where visible is null) as hidden,
       (select count(*) from s where wait_event_type = 'Lock') as waiting_for_locks,
       round((select extract(epoch from max(now() - xact_start)) from s)::numeric, 1) as oldest_transaction_seconds,
       round((select extract(epoch from max(now() - query_start)) from s where state = 'active')::numeric, 1) as oldest_query_seconds,
       (select coalesce(json_agg(g), '[]') from (select state as name, count(*) as count from s group by 1 order by 2 desc, 1) g) as by_state,
       (select coalesce(json_agg(g), '[]') from (select database as name, count(*) as count from s group by 1 order by 2 desc, 1 limit 20) g) as by_database,
       (select coalesce(json_agg(g), '[]') from (select "user" as name, count(*) as count from s group by 1 order by 2 desc, 1 limit 20) g) as by_user,
       (select coalesce(json_agg(g), '[]') from (select application as name, count(*) as count from s group by 1 order by 2 desc, 1 limit 20) g) as by_application
